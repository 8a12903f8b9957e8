/* Arrays to .npy files. See npy.h. */
#include "report/npy.h"

#include "base/file.h"

enum { ALIGNMENT = 64 };

scry_status scry__npy_add_head(scry__text *head, const char *description, int rank, const int64_t *shape)
{
    size_t begin = head->size;
    scry__text_add(head, "\x93NUMPY\x01\x00\x00\x00", 10);
    scry__text_addf(head, "{'descr': '%s', 'fortran_order': False, 'shape': (", description);
    for (int i = 0; i < rank; i++) scry__text_addf(head, rank == 1 ? "%lld," : "%lld, ", (long long)shape[i]);
    scry__text_adds(head, "), }");
    while (!head->status && (head->size - begin + 1) % ALIGNMENT) scry__text_adds(head, " ");
    scry__text_adds(head, "\n");
    if (head->status) return head->status;
    size_t dictionary     = head->size - begin - 10; /* its length stands before it, in two bytes */
    head->data[begin + 8] = (char)(dictionary & 0xff);
    head->data[begin + 9] = (char)(dictionary >> 8);
    return SCRY_OK;
}

scry_status scry__npy_write_f32(const char *path, int rank, const int64_t *shape, const float *data)
{
    scry__text file  = {0};
    size_t     count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)shape[i];
    scry_status status = scry__npy_add_head(&file, "<f4", rank, shape);
    scry__text_add(&file, (const char *)data, count * sizeof *data);
    if (!status) status = file.status;
    if (!status) status = scry__file_write(path, file.data, file.size);
    scry__text_finish(&file);
    return status;
}
