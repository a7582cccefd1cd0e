/* libFuzzer target: job.yaml from anybody.
 *
 * The template of `covey init` is mixed in when the input begins with '+', so
 * that an empty corpus gets past the required keys.
 */
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/job.h"
#include "io/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int mixed = size > 0 && data[0] == '+';
    char *text =
        cv_asprintf("%.*s\n%s", (int)(size - (size_t)mixed),
                    (const char *)data + mixed, mixed ? cv_template_job : "");
    cv_err err = {0};
    cv_job *job = NULL, *again = NULL;
    if (cv_job_parse(text, "job.yaml", &job, &err) == 0) {
        /* What was accepted must be readable by every other rank. */
        CV_CHECK(cv_job_parse(job->text, "job.yaml", &again, &err) == 0);
        CV_CHECK(strcmp(job->text, again->text) == 0);
        CV_CHECK(memcmp(job->digest, again->digest, 32) == 0);
    } else {
        CV_CHECK(!job && err.code == CV_ERR_INPUT && err.text[0]);
    }
    cv_job_destroy(&job);
    cv_job_destroy(&again);
    free(text);
    return 0;
}
