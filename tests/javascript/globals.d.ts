// The chart library stands before the modules in the one file that is served.
declare const uPlot: typeof import("uplot");
declare type uPlot = import("uplot");
