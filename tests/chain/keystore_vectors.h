/** Published key files: ethereum/tests KeyStoreTests (the Web3 Secret Storage
 *  definition's two) and go-ethereum's accounts/keystore/testdata. */
#ifndef COVEY_TESTS_KEYSTORE_VECTORS_H
#define COVEY_TESTS_KEYSTORE_VECTORS_H

typedef struct {
    const char *name, *pass, *secret /* or NULL: the address is checked */;
    const char *json;
} vector;

static const vector vectors[] = {
    {"Web3 pbkdf2", "testpassword",
     "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d",
     "{\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":"
     "\"6087dab2f9fdbbfaddc31a909735c1e6\"},\"ciphertext\":"
     "\"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46\","
     "\"kdf\":\"pbkdf2\",\"kdfparams\":{\"c\":262144,\"dklen\":32,\"prf\":"
     "\"hmac-sha256\",\"salt\":"
     "\"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd\"},"
     "\"mac\":"
     "\"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2\"},"
     "\"id\":\"3198bc9c-6672-5ab3-d995-4942343ae5b6\",\"version\":3}"},
    {"Web3 scrypt, r = 1", "testpassword",
     "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d",
     "{\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":"
     "\"83dbcc02d8ccb40e466191a123791e0e\"},\"ciphertext\":"
     "\"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c\","
     "\"kdf\":\"scrypt\",\"kdfparams\":{\"dklen\":32,\"n\":262144,\"r\":1,"
     "\"p\":8,\"salt\":"
     "\"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19\"},"
     "\"mac\":"
     "\"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097\"},"
     "\"id\":\"3198bc9c-6672-5ab3-d995-4942343ae5b6\",\"version\":3}"},
    {"31 bytes", "foo",
     "00fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35",
     "{\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":"
     "\"e0c41130a323adc1446fc82f724bca2f\"},\"ciphertext\":"
     "\"9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984\","
     "\"kdf\":\"scrypt\",\"kdfparams\":{\"dklen\":32,\"n\":2,\"r\":8,\"p\":1,"
     "\"salt\":"
     "\"711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63\"},"
     "\"mac\":"
     "\"d5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5\"},"
     "\"id\":\"fecfc4ce-e956-48fd-953b-30f8b52ed66c\",\"version\":3}"},
    {"30 bytes", "foo",
     "000081c29e8142bb6a81bef5a92bda7a8328a5c85bb2f9542e76f9b0f94fc018",
     "{\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":"
     "\"3ca92af36ad7c2cd92454c59cea5ef00\"},\"ciphertext\":"
     "\"108b7d34f3442fc26ab1ab90ca91476ba6bfa8c00975a49ef9051dc675aa\","
     "\"kdf\":\"scrypt\",\"kdfparams\":{\"dklen\":32,\"n\":2,\"r\":8,\"p\":1,"
     "\"salt\":"
     "\"d0769e608fb86cda848065642a9c6fa046845c928175662b8e356c77f914cd3b\"},"
     "\"mac\":"
     "\"75d0e6759f7b3cefa319c3be41680ab6beea7d8328653474bd06706d4cc67420\"},"
     "\"id\":\"a37e1559-5955-450d-8075-7b8931b392b2\",\"version\":3}"},
    {"very light scrypt, empty pass phrase", "", NULL,
     "{\"address\":\"45dea0fb0bba44f4fcf290bba71fd57d7117cbb8\",\"crypto\":{"
     "\"cipher\":\"aes-128-ctr\",\"ciphertext\":"
     "\"b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145\","
     "\"cipherparams\":{\"iv\":\"dc4926b48a105133d2f16b96833abf1e\"},\"kdf\":"
     "\"scrypt\",\"kdfparams\":{\"dklen\":32,\"n\":2,\"p\":1,\"r\":8,\"salt\":"
     "\"004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0\"},"
     "\"mac\":"
     "\"39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85\"},"
     "\"id\":\"ce541d8d-c79b-40f8-9f8c-20f59616faba\",\"version\":3}"},
    {"keystore/aaa", "foobar", NULL,
     "{\"address\":\"f466859ead1932d743d622cb74fc058882e8648a\",\"crypto\":{"
     "\"cipher\":\"aes-128-ctr\",\"ciphertext\":"
     "\"cb664472deacb41a2e995fa7f96fe29ce744471deb8d146a0e43c7898c9ddd4d\","
     "\"cipherparams\":{\"iv\":\"dfd9ee70812add5f4b8f89d0811c9158\"},\"kdf\":"
     "\"scrypt\",\"kdfparams\":{\"dklen\":32,\"n\":8,\"p\":16,\"r\":8,"
     "\"salt\":"
     "\"0d6769bf016d45c479213990d6a08d938469c4adad8a02ce507b4a4e7b7739f1\"},"
     "\"mac\":"
     "\"bac9af994b15a45dd39669fc66f9aa8a3b9dd8c22cb16e4d8d7ea089d0f1a1a9\"},"
     "\"id\":\"472e8b3d-afb6-45b5-8111-72c89895099a\",\"version\":3}"},
    /* One of ours, so that later versions still read it. */
    {"version 1 of the covey member", "foo",
     "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181",
     "{\n"
     "  \"address\": \"3b7afc0192e752307a611e53ad177d55482bce2a\",\n"
     "  \"crypto\": {\n"
     "    \"cipher\": \"aes-128-ctr\",\n"
     "    \"cipherparams\": {\"iv\": \"c39415481a56f2a0c06721d1dba46eb5\"},\n"
     "    \"ciphertext\": "
     "\"6c544ccfeb45d6f03e21eb47cbe1db360a032806626856e4f56ed3ee5f60ae04\",\n"
     "    \"kdf\": \"pbkdf2\",\n"
     "    \"kdfparams\": {\"dklen\": 32, \"c\": 10, \"prf\": \"hmac-sha256\",\n"
     "      \"salt\": "
     "\"591c29f1dbfb22a552bdafb83c079df5c49e27af343e7e81c8388e584f79b2aa\"},\n"
     "    \"mac\": "
     "\"c40cf1aa9862151d3c0abfec1b44cdc2b5c8aca12d4344065ab178e7f7aaf72c\"\n"
     "  },\n"
     "  \"id\": \"53613187-fe58-4f88-82d9-81396f1cadb6\",\n"
     "  \"version\": 3,\n"
     "  \"covey\": {\"public_key\": "
     "\"0x0292df7b245b81aa637ab4e867c8d511008f79161a97d64f2ac709600352f7acbc\","
     "\n"
     "    \"check\": "
     "\"2ffd8e70dd9dc08a46943a7cfad73d10691aa5588e6a8698fc882334b500ae2e\"}\n"
     "}\n"},
};
enum { N_PUBLISHED = 6, N_VECTORS = sizeof vectors / sizeof vectors[0] };

#endif
