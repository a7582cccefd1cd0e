#include "jobs/saved.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/names.h"

int cv_target_of_job(const cv_job *job)
{
    if (cv_job_is_fit(job)) /* the job's two levels make it one */
        return job->data.n_target_levels > 0;
    int needs = cv_model_needs_classes(job->model.kind);
    if (needs == 2 && job->data.target_type != CV_TARGET_AUTO)
        return job->data.target_type == CV_TARGET_CATEGORY;
    return needs;
}

/* The silos agreed on the names of the classes, so these may be told. */
static int check_two_classes(const cv_job *job, const cv_feature *target,
                             cv_err *err)
{
    enum { MOST = 8 };
    char list[320];
    double v;
    int n = target->n_levels;
    if (strcmp(job->model.kind, "logistic") || n == 0 || n == 2)
        return 0;
    cv_names_list(list, sizeof list, (const char *const *)target->levels,
                  (size_t)n, MOST);
    int numbers = cv_parse_f64(&v, target->levels[n - 1]) == 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "model 'logistic' needs a target with 2 classes; '%s' "
                      "has %d: %s; a differently spelled label at one site "
                      "counts as a class of its own%s",
                      target->name, n, list,
                      n == 1    ? ""
                      : numbers ? "; for more classes use softmax, for a "
                                  "number linear or poisson"
                                : "; for more classes use softmax");
}

/* Height and width of the images: the job's, or a square of all columns. */
static int image_size(const cv_job *job, const cv_schema *schema, int size[2],
                      cv_err *err)
{
    int n = schema->n_cols;
    size[0] = size[1] = (int)lround(sqrt((double)n));
    if (job->model.n_image)
        memcpy(size, job->model.image, 2 * sizeof *size);
    for (int i = 0; i < schema->n_features; i++)
        if (schema->features[i].type != CV_FEATURE_NUMBER)
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "model.transform %s needs pixels in all "
                              "columns; '%s' is a category",
                              job->model.transform, schema->features[i].name);
    if ((int64_t)size[0] * size[1] == n)
        return 0;
    if (job->model.n_image)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model.image: the data have %d columns; found %d x "
                          "%d pixels",
                          n, size[0], size[1]);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "model.transform %s: the data's %d columns are no "
                      "square image; give model.image: [height, width]",
                      job->model.transform, n);
}

int cv_transform_for_job(const cv_job *job, const cv_schema *schema,
                         cv_transform **transform, cv_err *err)
{
    int size[2];
    *transform = NULL;
    if (strcmp(job->model.transform, "none") == 0)
        return 0;
    int rc = image_size(job, schema, size, err);
    return rc ? rc
              : cv_transform_create(job->model.transform, size[0], size[1],
                                    transform, err);
}

int cv_model_for_job(const cv_job *job, const cv_schema *schema,
                     cv_model **model, cv_err *err)
{
    cv_transform *map = NULL;
    int rc = check_two_classes(job, &schema->target, err);
    if (!rc)
        rc = cv_transform_for_job(job, schema, &map, err);
    if (rc)
        return rc;
    cv_model_spec spec = {.kind = job->model.kind,
                          .activation = job->model.activation,
                          .n_in =
                              map ? cv_transform_n_out(map) : schema->n_cols,
                          .n_classes = schema->target.n_levels,
                          .n_hidden = job->model.n_hidden,
                          .hidden = job->model.hidden};
    cv_transform_destroy(&map);
    return cv_model_create(&spec, model, err);
}

int cv_load_params(cv_h5_reader *r, const cv_params *params, float *w,
                   cv_err *err)
{
    for (int i = 0; i < params->n_views; i++) {
        const cv_view *v = &params->views[i];
        size_t n = 1;
        for (int k = 0; k < v->rank; k++)
            n *= (size_t)v->dims[k];
        char *name = cv_asprintf("/model/params/%s", v->name);
        int rc = cv_h5_get(r, name, CV_H5_F32, w + v->offset, n, err);
        free(name);
        if (rc)
            return rc;
    }
    return 0;
}

int cv_check_params(cv_h5_reader *r, const cv_params *p, cv_err *err)
{
    for (int i = 0; i < p->n_views; i++) {
        const cv_view *v = &p->views[i];
        int rank = 0;
        int64_t dims[4] = {0};
        char *name = cv_asprintf("/model/params/%s", v->name);
        int rc = cv_h5_shape(r, name, &rank, dims, err);
        free(name);
        if (rc)
            return rc;
        int same = rank == v->rank;
        for (int k = 0; k < v->rank; k++)
            same &= dims[k] == v->dims[k];
        if (!same)
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "/model/params/%s has another shape than the "
                              "job's model",
                              v->name);
    }
    return 0;
}

const cv_params *cv_saved_params(const cv_saved *s)
{
    return s->fit ? &s->fit->params : cv_model_params(s->model);
}

void cv_saved_root(const cv_saved *s, uint8_t root[32])
{
    size_t n = cv_saved_params(s)->n;
    if (s->fit)
        cv_params_root_f64(root, s->v, n);
    else
        cv_params_root(root, s->w, n);
}

void cv_saved_digest(const cv_saved *s, uint8_t digest[32])
{
    size_t n = cv_saved_params(s)->n;
    if (s->fit)
        cv_params_digest_f64(digest, s->v, n);
    else
        cv_params_digest(digest, s->w, n);
}

/* Texts that are printed: a file from anybody must not move the cursor of whoever
 * inspects it. */
static int get_plain(cv_h5_reader *r, const char *name, char **out, cv_err *err)
{
    int rc = cv_h5_get_attr_string(r, "/", name, out, err);
    for (const char *c = rc ? "" : *out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "root attribute %s holds a control character, "
                              "which no run of Covey writes",
                              name);
    return rc;
}

/* The parameters must be those whose digest the file states. */
static int check_digest(const cv_saved *s, const char *path, cv_err *err)
{
    uint8_t digest[32];
    char hex[65], *stated = NULL;
    int rc = cv_h5_get_attr_string(s->file, "/model", "digest", &stated, err);
    if (rc)
        return rc;
    cv_saved_digest(s, digest);
    cv_hex(hex, digest, 32);
    if (strcmp(hex, stated))
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0,
                        "the parameters do not fit the file's own digest; "
                        "theirs is %.12s",
                        hex);
    free(stated);
    return rc;
}

static int load_trained(cv_saved *s, cv_err *err)
{
    int rc = s->schema->target.name
                 ? cv_transform_for_job(s->job, s->schema, &s->transform, err)
                 : cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "/data/schema has no target, which model %s "
                              "cannot do without",
                              s->job->model.kind);
    if (!rc)
        rc = cv_model_for_job(s->job, s->schema, &s->model, err);
    if (!rc)
        rc = cv_check_params(s->file, cv_model_params(s->model), err);
    if (rc)
        return rc;
    s->w = CV_NEW(cv_model_params(s->model)->n, float);
    return cv_load_params(s->file, cv_model_params(s->model), s->w, err);
}

static int load_fit(cv_saved *s, cv_err *err)
{
    int rc = cv_fit_model_make(s->job, s->schema, &s->fit, err);
    if (!rc)
        rc = cv_check_params(s->file, &s->fit->params, err);
    if (rc)
        return rc;
    s->v = CV_NEW(s->fit->params.n, double);
    return cv_fit_load(s->file, s->fit, s->v, err);
}

static int load(cv_saved *s, const char *path, cv_err *err)
{
    char *text = NULL;
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &s->file, err);
    if (!rc)
        rc = cv_h5_get_attr_i64(s->file, "/", "round", &s->round, err);
    if (!rc)
        rc = cv_h5_get_attr_string(s->file, "/", "run_id", &s->run_id, err);
    if (!rc)
        rc = cv_h5_get_attr_string(s->file, "/", "job_digest", &s->job_digest,
                                   err);
    if (!rc)
        rc = get_plain(s->file, "created", &s->created, err);
    if (!rc)
        rc = get_plain(s->file, "program", &s->program, err);
    if (!rc)
        rc = cv_h5_get_string(s->file, "/job", &text, err);
    if (!rc)
        rc = cv_job_parse(text, path, &s->job, err);
    CV_FREE(text);
    if (!rc)
        rc = cv_h5_get_string(s->file, "/data/schema", &text, err);
    if (!rc)
        rc = cv_schema_from_text(text, &s->schema, err);
    free(text);
    if (!rc)
        rc = cv_job_is_fit(s->job) ? load_fit(s, err) : load_trained(s, err);
    return rc ? rc : check_digest(s, path, err);
}

/* The first 8 bytes, or fewer of a shorter file. */
static size_t read_head(const char *path, uint8_t head[12])
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, 12, f) : 0;
    if (f)
        fclose(f);
    return n;
}

/* A file that does not open as a checkpoint: is it one that is damaged, or
 * something else? A run that continues never asks: to it both are damage. */
static int other_file(const char *path, cv_err *err)
{
    static const uint8_t hdf5[8] = "\x89HDF\r\n\x1a\n";
    uint8_t head[12] = {0};
    size_t n = read_head(path, head);
    int zero = 1;
    for (size_t i = 0; i < n; i++)
        zero &= head[i] == 0;
    if (n < 9 || zero) /* cut off, or never written to the disk */
        return CV_ERR_VERIFY;
    if (memcmp(head, hdf5, 8) != 0)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "expected a Covey checkpoint (run.h5), found a file "
                          "that is not HDF5");
    if (head[8] == 0 || head[8] == 1 || head[8] == 3) /* h5py and others */
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "expected a Covey checkpoint (run.h5), found an HDF5 "
                          "file of another program");
    if (err && strstr(err->text, "root attribute format_version"))
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "expected a Covey checkpoint (run.h5), found an HDF5 "
                          "file that is none: it has no format_version");
    return CV_ERR_VERIFY;
}

int cv_saved_open(const char *path, cv_saved *saved, cv_err *err)
{
    struct stat st;
    memset(saved, 0, sizeof *saved);
    if (stat(path, &st) != 0)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "expected a checkpoint or a run folder, found "
                          "nothing there");
    char *file =
        S_ISDIR(st.st_mode) ? cv_fs_join(path, "run.h5") : cv_strdup(path);
    int rc = cv_fs_exists(file)
                 ? load(saved, file, err)
                 : cv_err_set(err, CV_ERR_INPUT, file, 0,
                              "the run has saved no checkpoint yet");
    if (rc == CV_ERR_VERIFY && !saved->file && !S_ISDIR(st.st_mode))
        rc = other_file(file, err);
    if (rc)
        cv_saved_close(saved);
    free(file);
    return rc;
}

void cv_saved_close(cv_saved *saved)
{
    cv_h5_close(&saved->file);
    cv_job_destroy(&saved->job);
    cv_schema_destroy(&saved->schema);
    cv_transform_destroy(&saved->transform);
    cv_model_destroy(&saved->model);
    free(saved->w);
    cv_fit_model_destroy(&saved->fit);
    free(saved->v);
    free(saved->run_id);
    free(saved->job_digest);
    free(saved->created);
    free(saved->program);
    memset(saved, 0, sizeof *saved);
}
