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
