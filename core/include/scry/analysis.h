/* All analyses: findings about a model and a prompt, each with its own header. */
#ifndef SCRY_ANALYSIS_H
#define SCRY_ANALYSIS_H

#include "scry/ablate.h"
#include "scry/attribute.h"
#include "scry/compare.h"
#include "scry/diagnose.h"
#include "scry/heads.h"
#include "scry/influence.h"
#include "scry/lens.h"
#include "scry/patch.h"
#include "scry/path.h"
#include "scry/steer.h"
#include "scry/sweep.h"

#endif
