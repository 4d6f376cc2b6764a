"""Labels to positions along one axis: numbers, times, calendars, text, the circle of longitudes."""
