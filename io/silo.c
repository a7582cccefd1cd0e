#include "io/silo.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/keys.h"
#include "io/names.h"

/* "~/x" is not the home folder here, and would silently be a folder "~". */
static int check_path(char *text)
{
    return text[0] == '~' ? -1 : 0;
}

#define SILO(member) .offset = offsetof(cv_silo, member)
#define PATH_RULE                                                              \
    "a path, absolute or relative to the folder of this file ('~' is not "     \
    "expanded)"

static const cv_key rows[] = {
    {"silo", CV_KEY_TEXT, SILO(silo), CV_KEY_REQUIRED,
     .check = cv_keys_check_name,
     .expected = "the name of the silo as in the job",
     .meaning = "this site's name in the job"},
    {"data", CV_KEY_TEXT, SILO(data), CV_KEY_REQUIRED, .check = check_path,
     .expected = PATH_RULE, .meaning = "the site's data set"},
    {"state", CV_KEY_TEXT, SILO(state), .check = check_path,
     .expected = PATH_RULE, .meaning = "folder for the site's own state"},
    {"threads", CV_KEY_INT, SILO(threads), .def = "1", .range = {1, 1024, 0, 0},
     .meaning = "threads of one rank"},
    {"key", CV_KEY_TEXT, SILO(key), .check = check_path, .expected = PATH_RULE,
     .meaning = "file with the site's signing key"},
    {"password_file", CV_KEY_TEXT, SILO(password_file), .check = check_path,
     .expected = PATH_RULE, .meaning = "file with the pass phrase of the key"},
    {"trusted", CV_KEY_TEXTS, SILO(trusted), CV_KEY_UNIQUE,
     .count = offsetof(cv_silo, n_trusted), .max_items = 1000000,
     .check = cv_keys_check_public_key,
     .expected = "a list of public keys, each " CV_KEYS_PUBLIC_KEY_RULE,
     .meaning = "public keys of the partners that the site knows"},
    {"limits", CV_KEY_SECTION, .flag = offsetof(cv_silo, limits.given),
     .meaning = "what the site allows a job"},
    {"limits.epsilon", CV_KEY_NUMBER, SILO(limits.epsilon),
     .range = {0, INFINITY, 1, 0},
     .meaning = "largest privacy loss, over all jobs on this data"},
    {"limits.delta", CV_KEY_NUMBER, SILO(limits.delta), .range = {0, 1, 1, 1},
     .meaning = "largest delta"},
    {"limits.min_silos", CV_KEY_INT, SILO(limits.min_silos),
     .range = {0, 1000000, 0, 0}, .meaning = "fewest silos in a sum"},
    {"disclosure", CV_KEY_SECTION, .flag = offsetof(cv_silo, disclosure.given),
     .meaning = "what a statistical fit may show of the rows"},
    {"disclosure.min_rows", CV_KEY_INT, SILO(disclosure.min_rows), .def = "0",
     .range = {0, 1000000000, 0, 0},
     .meaning = "fewest rows; 0: what the job says"},
    {"disclosure.min_cell", CV_KEY_INT, SILO(disclosure.min_cell), .def = "0",
     .range = {0, 1000000000, 0, 0},
     .meaning = "fewest rows of a level, outcome or time bin; 0: what the job "
                "says"},
    {"disclosure.rows_per_parameter", CV_KEY_NUMBER,
     SILO(disclosure.rows_per_parameter), .def = "-1",
     .range = {-1, INFINITY, 0, 0},
     .meaning = "fewest rows for each coefficient; -1: what the job says"},
};
static const cv_keys silo_keys = {rows, sizeof rows / sizeof *rows};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What the file holds, and where it lies, is the site's business: the message
 * that may travel says which file and line, the rest is for the site. */
static int keep_private(cv_err *err, const char *path)
{
    if (!err)
        return CV_ERR_INPUT;
    char text[sizeof err->text];
    int line = err->line, code = err->code;
    memcpy(text, err->text, sizeof text);
    cv_err_set(err, code, base_name(path), line,
               line ? "this line of the silo file is wrong; `covey check JOB "
                      "--silo FILE` at the site says why"
                    : "the silo file cannot be used; `covey check JOB --silo "
                      "FILE` at the site says why");
    return cv_err_site(err, "%s: %s", path, text);
}

/* Paths are relative to the file, wherever the program was started. */
static int make_absolute(char **path, const char *file, cv_err *err)
{
    if (!*path || (*path)[0] == '/')
        return 0;
    char *dir = cv_fs_dirname(file), *cwd = NULL, *whole = NULL, *old = *path;
    int rc = 0;
    if (dir[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd) {
            rc = cv_err_set(err, CV_ERR_ENV, NULL, 0,
                            "cannot tell the working folder: %s",
                            strerror(errno));
            goto out;
        }
        if (strcmp(dir, ".") != 0)
            whole = cv_fs_join(cwd, dir);
    }
    while (strncmp(old, "./", 2) == 0)
        old += 2;
    old = cv_fs_join(whole ? whole : cwd ? cwd : dir, old);
    free(*path);
    *path = old;
out:
    free(dir);
    free(cwd);
    free(whole);
    return rc;
}

int cv_silo_load(const char *path, cv_silo **out, cv_err *err)
{
    cv_yaml *tree = NULL;
    cv_silo *silo = CV_NEW(1, cv_silo);
    *out = NULL;
    silo->file = cv_strdup(path);
    int rc = cv_yaml_load(path, &tree, err);
    if (!rc)
        rc = cv_keys_read(&silo_keys, silo, tree, path, err);
    if (!rc)
        rc = make_absolute(&silo->data, path, err);
    if (!rc)
        rc = make_absolute(&silo->state, path, err);
    if (!rc)
        rc = make_absolute(&silo->key, path, err);
    if (!rc)
        rc = make_absolute(&silo->password_file, path, err);
    if (!rc && silo->password_file && !silo->key)
        rc = cv_err_set(err, CV_ERR_INPUT, path,
                        cv_keys_line(tree, "password_file"),
                        "password_file: used only with key; add key: FILE, "
                        "the file that the pass phrase opens");
    if (rc) {
        keep_private(err, path);
    } else {
        *out = silo;
        silo = NULL;
    }
    cv_yaml_destroy(&tree);
    cv_silo_destroy(&silo);
    return rc;
}

void cv_silo_destroy(cv_silo **silo)
{
    if (!*silo)
        return;
    cv_keys_free(&silo_keys, *silo);
    free((*silo)->file);
    CV_FREE(*silo);
}

static int is_yaml_name(const struct dirent *entry)
{
    const char *name = entry->d_name, *dot = strrchr(name, '.');
    /* Hidden files are what editors leave behind. */
    return name[0] != '.' && dot &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* The silo that the file at path is of; malloc'd, "" for a file of another
 * kind. NULL: it cannot be read here, which is as it should be for another
 * site's file. */
static char *name_in(const char *path)
{
    struct stat st;
    /* Opening a pipe would wait for a writer. */
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    cv_yaml *tree = NULL;
    if (cv_yaml_load(path, &tree, NULL) != 0)
        return NULL;
    const cv_yaml *silo = cv_yaml_get(tree, "silo");
    char *name =
        cv_strdup(silo && silo->kind == CV_YAML_SCALAR ? silo->text : "");
    cv_yaml_destroy(&tree);
    return name;
}

/* Names alone travel: what else stands in the files stays there. */
static int none_found(const char *dir, const char *name, cv_name_set *seen,
                      int n_files, int unread, cv_err *err)
{
    char list[320], skipped[80] = "", near[200] = "";
    const char *const *names = (const char *const *)seen->names;
    const char *close = cv_closest(name, names, seen->n);
    cv_names_list(list, sizeof list, names, seen->n, 8);
    if (unread)
        snprintf(skipped, sizeof skipped, "; %d of %d files could not be read",
                 unread, n_files);
    if (close)
        snprintf(near, sizeof near, "; is '%.80s' a typing error?", close);
    return cv_err_set(err, CV_ERR_INPUT, dir, 0,
                      "expected a file *.yaml or *.yml with 'silo: %s'; "
                      "found: %s%s%s",
                      name, list, near, skipped);
}

int cv_silo_find(const char *dir, const char *name, char **path, cv_err *err)
{
    struct dirent **entries = NULL;
    char *found = NULL;
    cv_name_set seen = {0};
    int rc = 0, unread = 0;
    *path = NULL;
    int n = scandir(dir, &entries, is_yaml_name, alphasort);
    if (n < 0)
        return cv_err_set(err, CV_ERR_INPUT, dir, 0,
                          "cannot read this folder of silo files: %s",
                          strerror(errno));
    for (int i = 0; i < n && !rc; i++) {
        char *file = cv_fs_join(dir, entries[i]->d_name);
        char *other = name_in(file);
        int match = other && other[0] && strcmp(other, name) == 0;
        unread += !other;
        if (other && !match && cv_keys_check_name(other) == 0)
            cv_name_set_add(&seen, other, strlen(other), NULL);
        free(other);
        if (match && found)
            rc = cv_err_set(err, CV_ERR_INPUT, dir, 0,
                            "expected one file with 'silo: %s', found two: %s "
                            "and %s; remove one",
                            name, base_name(found), base_name(file));
        else if (match) {
            found = file;
            file = NULL;
        }
        free(file);
    }
    if (!rc && !found)
        rc = none_found(dir, name, &seen, n, unread, err);
    if (!rc) {
        *path = found;
        found = NULL;
    }
    free(found);
    cv_name_set_free(&seen);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return rc;
}
