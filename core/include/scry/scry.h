/* Everything: include this. */
#ifndef SCRY_H
#define SCRY_H

#include "scry/analysis.h"
#include "scry/device.h"
#include "scry/edit.h"
#include "scry/model.h"
#include "scry/trace.h"
#include "scry/train.h"
#include "scry/tune_lens.h"

#endif
