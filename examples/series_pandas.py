"""The means of each day at a place, of a data frame: examples/series_pandas.py [ADDRESS]."""

import sys
from urllib.parse import urlencode

import pandas as pd

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
asked = {"variables": "t,u", "level": 850, "at": "13.4,52.5", "time": "2024-01"}
url = f"{address}/datasets/sample/sel.csv?{urlencode(asked)}"

frame = pd.read_csv(url, index_col="time", parse_dates=["time"])
print(frame[["t", "u"]].resample("1D").mean().round(3))
