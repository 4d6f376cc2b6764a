"""Text -> `Query` -> positions along axes; pure, and knows neither xarray nor HTTP."""
