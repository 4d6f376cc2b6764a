# The means of each day at a place: Rscript examples/series.R [ADDRESS]
given <- commandArgs(trailingOnly = TRUE)
address <- if (length(given) > 0) given[1] else "http://127.0.0.1:8000"
asked <- "variables=t,u&level=850&at=13.4,52.5&time=2024-01"

series <- read.csv(paste0(address, "/datasets/sample/sel.csv?", asked))
series$day <- substr(series$time, 1, 10)
print(aggregate(cbind(t, u) ~ day, data = series, FUN = function(x) round(mean(x), 3)))
