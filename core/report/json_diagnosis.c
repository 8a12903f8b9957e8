/* A diagnosis as JSON. See json_diagnosis.h. */
#include "report/json_diagnosis.h"

#include "report/json_parts.h"

static json_t *evidence_array(scry__json_builder *builder, const scry_finding *finding)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < finding->evidence_count; i++) {
        json_t *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "name", finding->evidence[i].name);
        scry__json_set_number(builder, object, "value", finding->evidence[i].value);
        scry__json_set_number(builder, object, "threshold", finding->evidence[i].threshold);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *finding_object(scry__json_builder *builder, const scry_finding *finding)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "kind", scry_diagnosis_text(finding->kind));
    scry__json_set_text(builder, object, "severity", scry_severity_text(finding->severity));
    scry__json_set_place(builder, object, "layer", finding->place.layer);
    scry__json_set_place(builder, object, "head", finding->place.head);
    scry__json_set_place(builder, object, "query", finding->place.query);
    scry__json_set_place(builder, object, "key", finding->place.key);
    scry__json_set_text(builder, object, "text", finding->text);
    scry__json_set(builder, object, "evidence", evidence_array(builder, finding));
    scry__json_set_text(builder, object, "advice", finding->advice);
    return object;
}

static json_t *check_object(scry__json_builder *builder, scry_diagnosis_kind kind, const scry_check *check)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "kind", scry_diagnosis_text(kind));
    scry__json_set_text(builder, object, "question", scry_diagnosis_question(kind));
    scry__json_set_text(builder, object, "outcome", scry_diagnosis_outcome_text(check->outcome));
    scry__json_set_text(builder, object, "detail", check->detail);
    return object;
}

scry_status scry__json_diagnosis(json_t **out, const scry_diagnosis *diagnosis, const scry__json_source *source)
{
    scry__json_builder builder  = {0};
    json_t            *object   = scry__json_result(&builder, "scry.diagnosis/1", source);
    json_t            *findings = scry__json_new_array(&builder), *checks = scry__json_new_array(&builder);
    json_t            *context = diagnosis->context.end ? scry__json_new_object(&builder) : json_null();
    for (int i = 0; i < diagnosis->finding_count; i++)
        scry__json_append(&builder, findings, finding_object(&builder, &diagnosis->findings[i]));
    for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT; kind++)
        scry__json_append(&builder, checks,
                          check_object(&builder, (scry_diagnosis_kind)kind, &diagnosis->checks[kind]));
    if (diagnosis->context.end) {
        scry__json_set_int(&builder, context, "begin", diagnosis->context.begin);
        scry__json_set_int(&builder, context, "end", diagnosis->context.end);
    }
    scry__json_set(&builder, object, "tokens", scry__json_tokens(&builder, diagnosis->tokens));
    scry__json_set(&builder, object, "context", context);
    scry__json_set(&builder, object, "findings", findings);
    scry__json_set(&builder, object, "checks", checks);
    return scry__json_finish(&builder, object, out);
}
