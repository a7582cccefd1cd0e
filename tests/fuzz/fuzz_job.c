/* libFuzzer target: job.yaml from anybody.
 *
 * Build and run from the repository root:
 *
 *   clang -g -O1 -std=gnu17 -D_GNU_SOURCE -I. \
 *       -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *       tests/fuzz/fuzz_job.c io/job*.c io/keys*.c io/yaml*.c io/template.c \
 *       io/names.c io/number.c \
 *       core/[!lp]*.c -lyaml -lcrypto -lm -o /tmp/fuzz_job
 *   mkdir -p /tmp/fuzz_job.corpus
 *   /tmp/fuzz_job -max_len=4096 -max_total_time=60 /tmp/fuzz_job.corpus
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
