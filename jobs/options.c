#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "jobs/commands.h"

/* As the user typed it; getopt_long leaves a group of short options only when
 * it has seen all of it. */
static char *typed_option(char *const *argv)
{
    const char *last = argv[optind - 1];
    if (optopt && strncmp(last, "--", 2) != 0)
        return cv_asprintf("-%c", optopt);
    return cv_strdup(last);
}

static const char *closest_option(const char *typed, const struct option *longs,
                                  char **name)
{
    const char *words[32];
    size_t n = 0;
    for (; longs[n].name && n < sizeof words / sizeof *words; n++)
        words[n] = longs[n].name;
    const char *near =
        strncmp(typed, "--", 2) == 0 ? cv_closest(typed + 2, words, n) : NULL;
    *name = near ? cv_asprintf("; did you mean '--%s'?", near) : cv_strdup("");
    return *name;
}

int cv_bad_option(const char *command, int c, char *const *argv,
                  const struct option *longs, cv_err *err)
{
    char *typed = typed_option(argv), *near = NULL;
    int rc =
        c == ':'
            ? cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                         "option '%s' needs a value; see `covey help %s`",
                         typed, command)
            : cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                         "unknown option '%s'%s; see `covey help %s`", typed,
                         closest_option(typed, longs, &near), command);
    free(near);
    free(typed);
    return rc;
}

/* `--password hunter2` would pass for an abbreviation of --password-file, and
 * the complaint about the missing file would repeat the pass phrase. */
int cv_refuse_spoken_passphrase(int argc, char *const *argv, cv_err *err)
{
    static const char name[] = "--password-file";
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--p", 3) == 0 &&
            (strncmp(argv[i], name, sizeof name - 1) != 0 ||
             !strchr("=", argv[i][sizeof name - 1])))
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "a pass phrase is never given on the command "
                              "line, where others can read it; leave it out "
                              "to be asked, or write --password-file FILE");
    return 0;
}
