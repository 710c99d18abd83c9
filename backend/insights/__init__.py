"""What the numbers show: series, trends, the chart and the panel; computed at read, never stale."""
