/* Lines and colours of a terminal; shared by terminal.c and terminal_heatmap.c. */
#ifndef SCRY_REPORT_TERMINAL_SHADE_H
#define SCRY_REPORT_TERMINAL_SHADE_H

#include "report/terminal.h"

/* The terminal's width, or the default. */
int scry__terminal_columns(const scry__terminal *terminal);

/* A newline, after taking away the spaces before it: lines compare and copy better without them. */
void scry__terminal_end_line(scry__text *out);

/* What follows has this background, and black or white letters, until reset. These do nothing without colour. */
void scry__terminal_shade(scry__text *out, const scry__terminal *terminal, scry__rgb colour);
void scry__terminal_bold(scry__text *out, const scry__terminal *terminal);
void scry__terminal_reset(scry__text *out, const scry__terminal *terminal);

#endif
