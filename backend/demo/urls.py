"""Addresses of the demo's own pages, below `demo/`."""

from django.urls import path

from backend.demo import pages

app_name = "demo"
urlpatterns = [
    path("codes", pages.codes, name="codes"),
    path("mail", pages.mails, name="mails"),
    path("mail/<str:key>", pages.mail, name="mail"),
    path("mail/<str:key>/html", pages.html, name="mail-html"),
]
