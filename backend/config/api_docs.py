"""The OpenAPI document and the page on which people read it."""

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny


@method_decorator(cache_page(3600, cache="local"), name="dispatch")
class Schema(SpectacularAPIView):
    """The document itself, as YAML, or as JSON when asked; it takes half a second, so each process makes it once."""

    permission_classes = (AllowAny,)
    authentication_classes = ()


@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class Docs(SpectacularSwaggerSplitView):
    """The document as a page; its viewer writes inline styles, so this page alone may. Scripts never."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    template_name = "api_docs.html"
