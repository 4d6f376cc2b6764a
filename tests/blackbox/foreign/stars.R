# What stars reads of the variables named after the file: lines of "=", a name and its values.
suppressMessages(library(stars))
words <- commandArgs(TRUE)
for (name in words[-1]) {
  found <- suppressWarnings(suppressMessages(read_ncdf(words[1], var = name)))
  cat("=", name, paste(as.vector(found[[1]]), collapse = "|"), sep = "\t", fill = FALSE, "\n")
}
