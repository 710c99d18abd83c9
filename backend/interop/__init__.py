"""Other people's formats: FHIR, iCalendar, health-app imports, sync, exports. Empty until the first of them comes."""
