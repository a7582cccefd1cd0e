#include "jobs/output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"

FILE *cv_output_open(const char *path, char **tmp)
{
    struct stat st;
    if (!path)
        return stdout;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return fopen(path, "w");
    *tmp = cv_asprintf("%s.tmp.%d", path, (int)getpid());
    return fopen(*tmp, "w");
}

int cv_output_close(FILE *out, const char *path, const char *tmp, cv_err *err)
{
    int bad = fflush(out) != 0 || ferror(out), e = errno;
    if (path && fclose(out) != 0 && !bad) {
        bad = 1;
        e = errno;
    }
    if (bad)
        return cv_err_set(err, CV_ERR_ENV, path ? path : "standard output", 0,
                          "cannot write: %s", strerror(e));
    return tmp ? cv_fs_rename(tmp, path, err) : 0;
}

void cv_csv_field(FILE *out, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, out);
        return;
    }
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', out);
        fputc(*s, out);
    }
    fputc('"', out);
}
