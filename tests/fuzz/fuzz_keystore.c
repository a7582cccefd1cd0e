/* libFuzzer target: a key file from anybody.
 *
 * The published files are mixed in when the input begins with '+': the rest is
 * then a list of (place, byte) that changes one of them, so that an empty
 * corpus gets past the required members and opens files.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/keystore_parts.h"
#include "core/mem.h"
#include "tests/chain/keystore_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One published file with some bytes replaced. */
static char *mixed(const uint8_t *data, size_t size, size_t *len)
{
    char *text = cv_strdup(vectors[size ? data[0] % N_VECTORS : 0].json);
    *len = strlen(text);
    for (size_t i = 1; i + 3 <= size; i += 3)
        text[(data[i] | (size_t)data[i + 1] << 8) % *len] = (char)data[i + 2];
    return text;
}

static int is_cheap(const cv_kdf *k)
{
    return k->kind == CV_KDF_PBKDF2
               ? k->iterations <= 64
               : k->scrypt.n * k->scrypt.r * k->scrypt.p <= 2048;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = size;
    char *text = NULL;
    if (size && data[0] == '+')
        text = mixed(data + 1, size - 1, &len);
    cv_err err = {0};
    cv_keystore *ks = NULL;
    cv_seckey *key = NULL;
    int rc = cv_keystore_parse(text ? text : (const char *)data, len, "k.json",
                               &ks, &err);
    CV_CHECK((rc == 0) == (ks != NULL));
    CV_CHECK(!rc || (rc == CV_ERR_INPUT && err.text[0]));
    if (ks && is_cheap(&ks->kdf)) {
        char foo[] = "foo";
        cv_passphrase pass = {foo, 3};
        rc = cv_keystore_unlock(ks, &pass, &key, &err);
        CV_CHECK((rc == 0) == (key != NULL));
        CV_CHECK(!rc || (rc == CV_ERR_INPUT && err.text[0]));
    }
    cv_seckey_destroy(&key);
    cv_keystore_destroy(&ks);
    free(text);
    return 0;
}
