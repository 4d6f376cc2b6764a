# What RNetCDF reads: lines of "=", a name (variable, or variable:attribute) and its values.
suppressMessages(library(RNetCDF))
nc <- open.nc(commandArgs(TRUE)[1])
say <- function(name, values) cat("=", name, paste(values, collapse = "|"), sep = "\t", fill = FALSE, "\n")
tell <- function(name, about, count) {
  for (number in seq_len(count) - 1) {
    key <- att.inq.nc(nc, about, number)$name
    say(paste0(name, ":", key), att.get.nc(nc, about, number))
  }
}
file <- file.inq.nc(nc)
for (number in seq_len(file$nvars) - 1) {
  variable <- var.inq.nc(nc, number)
  say(variable$name, var.get.nc(nc, number))
  tell(variable$name, number, variable$natts)
}
tell("", "NC_GLOBAL", file$ngatts)
close.nc(nc)
