/* A training's loss curve: the picture in words, and the numbers as they are. */
#include "refusals.h"
#include "report/curve.h"
#include "report/training_curve.h"

#include "base/alloc.h"
#include "base/file.h"
#include "train/recipe.h"
#include "train/record.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *scratch(const char *suffix)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/scry-curve-%ld.%s", (long)getpid(), suffix);
    return path;
}

static scry_training *made(int steps, double bound)
{
    scry_training *training = NULL;
    scry_recipe   *recipe   = NULL;
    cr_assert(!scry_recipe_create(&recipe, NULL) && !scry_recipe_set(recipe, "checkpoints", "0,2") &&
              !scry_recipe_set(recipe, "schedule", "constant") && !scry_recipe_set(recipe, "warmup", "2") &&
              !scry_recipe_set(recipe, "rate", "0.5") && !scry__recipe_complete(recipe, 0));
    cr_assert_eq(scry__record_create(&training, recipe, bound), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i <= steps; i++) {
        scry_evaluation evaluation = {i, 2.5 - 0.01 * i, i ? 0.125 : NAN, i ? 0.25 : NAN};
        if (i) cr_assert_eq(scry__record_add_loss(training, 3 - 0.01F * (float)i), SCRY_OK);
        if (i % 2 == 0) cr_assert_eq(scry__record_add_evaluation(training, &evaluation), SCRY_OK);
    }
    scry_recipe_destroy(&recipe);
    return training;
}

static void expect_text(const char *path, const char *const *says, int count)
{
    char  *text;
    size_t size;
    cr_assert_eq(scry__file_read(&text, &size, path, 1 << 22), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < count; i++) cr_expect(strstr(text, says[i]), "%s", says[i]);
    scry__free(text);
    remove(path);
}

Test(curve, csv__has_each_number_in_its_place)
{
    static const char *const expected[] = {"step,rate,loss,evaluation,error,best\n"
                                           "0,,,2.5,,\n"
                                           "1,0.25,2.99000001,,,\n"
                                           "2,0.5,2.98000002,2.48,0.125,0.25\n"
                                           "3,0.5,2.97000003,,,\n"};
    scry_training           *training   = made(3, NAN);
    cr_assert_eq(scry__training_csv_write(scratch("csv"), training), SCRY_OK, "%s", scry_last_error());
    expect_text(scratch("csv"), expected, 1);
    scry_training_destroy(&training);
}

Test(curve, picture__says_what_it_shows)
{
    static const char *const says[]   = {"<title>Training: copying patterns</title>",
                                         "2 layers, 2 heads, hidden 64, step 2000 of 1000; evaluation -17.5000",
                                         ", -17.7500 above the best possible"};
    scry_training           *training = made(2000, 0.31889); /* more steps than the line has points */
    cr_assert_eq(scry__training_curve_write(scratch("svg"), training), SCRY_OK, "%s", scry_last_error());
    expect_text(scratch("svg"), says, 3);
    cr_expect_eq(scry__training_curve_write(scratch("png"), training), SCRY_OK, "%s", scry_last_error());
    expect_text(scratch("png"), NULL, 0);
    cr_expect_eq(scry__training_curve_write(scratch("gif"), training), SCRY_BAD_ARGUMENT);
    scry_training_destroy(&training);
}

Test(curve, few_points__are_drawn_or_refused)
{
    scry_training *training = made(1, NAN);
    cr_expect_eq(scry__training_curve_write(scratch("svg"), training), SCRY_OK, "%s", scry_last_error());
    remove(scratch("svg"));
    training->step             = 0;
    training->evaluation_count = 0;
    cr_expect_eq(scry__training_curve_write(scratch("svg"), training), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "nothing to draw"), "%s", scry_last_error());
    scry_training_destroy(&training);
}

Test(curve, refused_memory__is_reported)
{
    scry_training  *training = made(3, 0.3);
    struct refusals refusals = {0};
    while (refusals_next(&refusals)) {
        scry_status status = scry__training_csv_write(scratch("csv"), training);
        if (!status) status = scry__training_curve_write(scratch("svg"), training);
        refusals_check(&refusals, status, !access(scratch("svg"), F_OK));
        remove(scratch("csv"));
        remove(scratch("svg"));
    }
    cr_expect_gt(refusals.refused, 6);
    scry_training_destroy(&training);
}
