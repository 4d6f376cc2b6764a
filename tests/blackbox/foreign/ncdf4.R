# What ncdf4 reads: lines of "=", a name (variable, or variable:attribute) and its values.
suppressMessages(library(ncdf4))
nc <- nc_open(commandArgs(TRUE)[1])
say <- function(name, values) cat("=", name, paste(values, collapse = "|"), sep = "\t", fill = FALSE, "\n")
tell <- function(name, about) {
  found <- ncatt_get(nc, about)
  for (key in names(found)) say(paste0(name, ":", key), found[[key]])
}
for (name in names(nc$var)) {
  say(name, ncvar_get(nc, name))
  tell(name, name)
}
for (dim in nc$dim) if (dim$create_dimvar) say(dim$name, dim$vals)
tell("", 0)
nc_close(nc)
