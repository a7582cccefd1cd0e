#include "jobs/funded_key.h"

#include <stdlib.h>
#include <string.h>

#include "chain/keystore.h"
#include "core/mem.h"
#include "core/secret.h"

int cv_funded_key_open(const char *file, const char *password_file,
                       cv_seckey **key, cv_err *err)
{
    cv_keystore *ks = NULL;
    cv_passphrase pass = {0};
    int rc;
    if (!file)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected --key FILE, the key file that pays for "
                          "transactions (`covey keys new` makes one)");
    rc = cv_keystore_load(file, &ks, err);
    if (!rc && password_file) /* sealing first would hide <(command) */
        rc = cv_passphrase_read(password_file, &pass, err);
    cv_secret_seal_process();
    if (!rc && !password_file) {
        char *label = cv_asprintf("Pass phrase for %s", file);
        rc = cv_passphrase_ask(label, &pass, err);
        free(label);
    }
    if (!rc)
        rc = cv_keystore_unlock(ks, &pass, key, err);
    cv_passphrase_wipe(&pass);
    cv_keystore_destroy(&ks);
    return rc;
}

static int looks_secret(const char *s)
{
    if (strncmp(s, "0x", 2) == 0)
        s += 2;
    return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

int cv_refuse_spoken_secret(int argc, char **argv, cv_err *err)
{
    static const char name[] = "--password-file";
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (strncmp(argv[i], "--p", 3) == 0 &&
            (strncmp(argv[i], name, sizeof name - 1) != 0 ||
             !strchr("=", argv[i][sizeof name - 1])))
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "a pass phrase is never given on the command "
                              "line, where others can read it; leave it out "
                              "to be asked, or write --password-file FILE");
        if (looks_secret(argv[i]) || (value && looks_secret(value + 1)))
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "a secret key is never given on the command "
                              "line, where others can read it, and this one "
                              "has been read now: move its money; --key takes "
                              "a key file");
    }
    return 0;
}
