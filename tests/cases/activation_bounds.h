/* The activation functions and how far a device may be off, for activation and its gradient. */
#ifndef SCRY_CASES_ACTIVATION_BOUNDS_H
#define SCRY_CASES_ACTIVATION_BOUNDS_H

#include "scry/op.h"

double scry__activation_value(scry_activation_kind function, double x);
/* Bound of the absolute error of that; u is the unit roundoff. */
double scry__activation_error(scry_activation_kind function, double x, double u);

#endif
