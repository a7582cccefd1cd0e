/* `covey keys`: a silo's identity. Prints addresses and public keys, never a
 * secret; pass phrases come from a file or the terminal. */
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/keystore.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/secret.h"
#include "jobs/commands.h"
#include "jobs/funded_key.h"
#include "jobs/json.h"

typedef struct {
    const char *out, *password_file;
    int json;
} options;

static int get_passphrase(const options *o, const char *file, int is_new,
                          cv_passphrase *out, cv_err *err)
{
    if (o->password_file) {
        /* Sealing first would hide /dev/fd, and with it <(command). */
        int read = cv_passphrase_read(o->password_file, out, err);
        cv_secret_seal_process();
        return read;
    }
    cv_secret_seal_process();
    char *label = cv_asprintf(
        "%s %s", is_new ? "New pass phrase for" : "Pass phrase for", file);
    cv_passphrase again = {0};
    int rc = cv_passphrase_ask(label, out, err);
    if (!rc && is_new && out->len) {
        rc = cv_passphrase_ask("The same again", &again, err);
        if (!rc && !cv_passphrase_same(out, &again))
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "the two pass phrases differ; nothing was written");
    }
    cv_passphrase_wipe(&again);
    free(label);
    return rc;
}

static void print_one(const options *o, const char *file,
                      const cv_address *address, const cv_pubkey *pubkey)
{
    char a[CV_ADDRESS_TEXT], p[CV_PUBKEY_TEXT];
    cv_address_text(a, address);
    cv_pubkey_text(p, pubkey);
    if (!o->json) {
        printf("address     %s\npublic_key  %s\n", a, p);
        return;
    }
    cv_buf b = {0};
    cv_json_open(&b, NULL, '{');
    cv_json_string(&b, "file", file);
    cv_json_string(&b, "address", a);
    cv_json_string(&b, "public_key", p);
    cv_json_close(&b, '}');
    puts(cv_buf_text(&b));
    cv_buf_free(&b);
}

static int keys_new(const options *o, int n_args, char **args, cv_err *err)
{
    (void)args;
    if (n_args != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey keys new [--out FILE] "
                          "[--password-file FILE]");
    const char *path = o->out ? o->out : "silo.key.json";
    /* Before anybody thinks of a pass phrase; writing looks again. */
    if (cv_fs_exists(path))
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "is there already and was left alone; move it away "
                          "or choose another name with --out");
    cv_passphrase pass = {0};
    cv_seckey *key = NULL;
    cv_address address;
    cv_pubkey pubkey;
    int rc = get_passphrase(o, path, 1, &pass, err);
    if (rc)
        return rc;
    cv_seckey_generate(&key);
    rc = cv_keystore_save(path, key, &pass, &cv_kdf_default, err);
    cv_passphrase_wipe(&pass);
    cv_seckey_address(key, &address);
    cv_seckey_pubkey(key, &pubkey);
    cv_seckey_destroy(&key);
    if (rc)
        return rc;
    print_one(o, path, &address, &pubkey);
    fprintf(stderr,
            "wrote %s; the public key goes into the job (silos: public_key).\n"
            "Keep a copy of the file, and the pass phrase elsewhere.\n",
            path);
    return 0;
}

/* The file says who it belongs to; a pass phrase, where given, proves it. */
static int keys_show(const options *o, int n_args, char **args, cv_err *err)
{
    if (n_args != 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey keys show FILE [--password-file FILE] "
                          "[--json]");
    cv_keystore *ks = NULL;
    cv_passphrase pass = {0};
    cv_seckey *key = NULL;
    cv_address address;
    cv_pubkey pubkey;
    int rc = cv_keystore_load(args[0], &ks, err);
    if (rc)
        return rc;
    int known =
        cv_keystore_pubkey(ks, &pubkey) && cv_keystore_address(ks, &address);
    if (!known || o->password_file) {
        rc = get_passphrase(o, args[0], 0, &pass, err);
        if (!rc)
            rc = cv_keystore_unlock(ks, &pass, &key, err);
        if (!rc) {
            cv_seckey_address(key, &address);
            cv_seckey_pubkey(key, &pubkey);
        }
    }
    if (!rc)
        print_one(o, args[0], &address, &pubkey);
    cv_seckey_destroy(&key);
    cv_passphrase_wipe(&pass);
    cv_keystore_destroy(&ks);
    return rc;
}

static int maybe_key_file(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return (dot && strcmp(dot, ".json") == 0) ||
           strncmp(d->d_name, "UTC--", 5) == 0; /* geth's names */
}

static void list_one(const options *o, cv_buf *b, const char *path,
                     const char *name)
{
    cv_keystore *ks = NULL;
    cv_err err = {0};
    cv_address address;
    cv_pubkey pubkey;
    char a[CV_ADDRESS_TEXT] = "-", p[CV_PUBKEY_TEXT] = "-";
    int rc = cv_keystore_load(path, &ks, &err);
    if (!rc && cv_keystore_address(ks, &address))
        cv_address_text(a, &address);
    if (!rc && cv_keystore_pubkey(ks, &pubkey))
        cv_pubkey_text(p, &pubkey);
    cv_keystore_destroy(&ks);
    if (!o->json) {
        printf("%-24s %-42s %s\n", name, rc ? "-" : a, rc ? err.text : p);
        return;
    }
    cv_json_open(b, NULL, '{');
    cv_json_string(b, "file", path);
    if (rc)
        cv_json_string(b, "error", err.text);
    if (!rc && strcmp(a, "-") != 0)
        cv_json_string(b, "address", a);
    if (!rc && strcmp(p, "-") != 0)
        cv_json_string(b, "public_key", p);
    cv_json_close(b, '}');
}

static int keys_list(const options *o, int n_args, char **args, cv_err *err)
{
    if (n_args > 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey keys list [DIR] [--json]");
    const char *dir = n_args ? args[0] : ".";
    struct dirent **entry = NULL;
    int n = scandir(dir, &entry, maybe_key_file, alphasort);
    if (n < 0)
        return cv_err_set(err, CV_ERR_INPUT, dir, 0,
                          "expected a folder that can be read");
    cv_buf b = {0};
    if (o->json)
        cv_json_open(&b, NULL, '[');
    else if (n)
        printf("%-24s %-42s %s\n", "file", "address", "public key");
    for (int i = 0; i < n; i++) {
        char *path = cv_fs_join(dir, entry[i]->d_name);
        list_one(o, &b, path, entry[i]->d_name);
        free(path);
        free(entry[i]);
    }
    free(entry);
    if (o->json) {
        cv_json_close(&b, ']');
        puts(cv_buf_text(&b));
    } else if (!n) {
        fprintf(stderr, "no key files (*.json, UTC--*) in %s\n", dir);
    }
    cv_buf_free(&b);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const options *o, int n_args, char **args, cv_err *err);
} verbs[] = {{"new", keys_new}, {"show", keys_show}, {"list", keys_list}};

int cv_cmd_keys(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"out", required_argument, NULL, 'o'},
        {"password-file", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0}};
    options o = {0};
    int c, rc = cv_refuse_spoken_secret(argc, argv, err);
    if (rc)
        return rc;
    while ((c = getopt_long(argc, argv, ":o:", longs, NULL)) != -1) {
        if (c == 'o')
            o.out = optarg;
        else if (c == 'p')
            o.password_file = optarg;
        else if (c == 'j')
            o.json = 1;
        else
            return cv_bad_option("keys", c, argv, longs, err);
    }
    if (optind >= argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey keys new|show|list; see `covey help "
                          "keys`");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[optind], verbs[i].name) == 0)
            return verbs[i].run(&o, argc - optind - 1, argv + optind + 1, err);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "expected `covey keys new`, `show` or `list`, found '%s'",
                      argv[optind]);
}
