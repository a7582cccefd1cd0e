/** The vectors of ethereum/tests, RLPTests: rlptest.json (but for
 *  listofbinaries, whose bytes go on after the list that they begin with) and
 *  invalidRLPTest.json. */
#ifndef COVEY_TESTS_RLP_VECTORS_H
#define COVEY_TESTS_RLP_VECTORS_H

/* Values: 'text', #number, x<hex>, [list]. */
typedef struct {
    const char *name, *value, *hex;
} rlp_vector;

#define ASDF     "['asdf','qwer','zxcv']"
#define ASDF_HEX "cf84617364668471776572847a786376"
#define X4(x)    x x x x

static const rlp_vector rlp_valid[] = {
    {"emptystring", "''", "80"},
    {"bytestring00", "x00", "00"},
    {"bytestring01", "x01", "01"},
    {"bytestring7F", "x7f", "7f"},
    {"shortstring", "'dog'", "83646f67"},
    {"shortstring2",
     "'Lorem ipsum dolor sit amet, consectetur adipisicing eli'",
     "b74c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e73656374"
     "65747572206164697069736963696e6720656c69"},
    {"longstring", "'Lorem ipsum dolor sit amet, consectetur adipisicing elit'",
     "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e736563"
     "7465747572206164697069736963696e6720656c6974"},
    {"longstring2",
     "'Lorem ipsum dolor sit amet, consectetur adipiscing elit. Curabitu"
     "r mauris magna, suscipit sed vehicula non, iaculis faucibus tortor"
     ". Proin suscipit ultricies malesuada. Duis tortor elit, dictum qui"
     "s tristique eu, ultrices at risus. Morbi a est imperdiet mi ullamc"
     "orper aliquet suscipit nec lorem. Aenean quis leo mollis, vulputat"
     "e elit varius, consequat enim. Nulla ultrices turpis justo, et pos"
     "uere urna consectetur nec. Proin non convallis metus. Donec tempor"
     " ipsum in mauris congue sollicitudin. Vestibulum ante ipsum primis"
     " in faucibus orci luctus et ultrices posuere cubilia Curae; Suspen"
     "disse convallis sem vel massa faucibus, eget lacinia lacus tempor."
     " Nulla quis ultricies purus. Proin auctor rhoncus nibh condimentum"
     " mollis. Aliquam consequat enim at metus luctus, a eleifend purus "
     "egestas. Curabitur at nibh metus. Nam bibendum, neque at auctor tr"
     "istique, lorem libero aliquet arcu, non interdum tellus lectus sit"
     " amet eros. Cras rhoncus, metus ac ornare cursus, dolor justo ultr"
     "ices metus, at ullamcorper volutpat'",
     "b904004c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f"
     "6e73656374657475722061646970697363696e6720656c69742e20437572616269"
     "747572206d6175726973206d61676e612c20737573636970697420736564207665"
     "686963756c61206e6f6e2c20696163756c697320666175636962757320746f7274"
     "6f722e2050726f696e20737573636970697420756c74726963696573206d616c65"
     "73756164612e204475697320746f72746f7220656c69742c2064696374756d2071"
     "756973207472697374697175652065752c20756c74726963657320617420726973"
     "75732e204d6f72626920612065737420696d70657264696574206d6920756c6c61"
     "6d636f7270657220616c6971756574207375736369706974206e6563206c6f7265"
     "6d2e2041656e65616e2071756973206c656f206d6f6c6c69732c2076756c707574"
     "61746520656c6974207661726975732c20636f6e73657175617420656e696d2e20"
     "4e756c6c6120756c74726963657320747572706973206a7573746f2c2065742070"
     "6f73756572652075726e6120636f6e7365637465747572206e65632e2050726f69"
     "6e206e6f6e20636f6e76616c6c6973206d657475732e20446f6e65632074656d70"
     "6f7220697073756d20696e206d617572697320636f6e67756520736f6c6c696369"
     "747564696e2e20566573746962756c756d20616e746520697073756d207072696d"
     "697320696e206661756369627573206f726369206c756374757320657420756c74"
     "726963657320706f737565726520637562696c69612043757261653b2053757370"
     "656e646973736520636f6e76616c6c69732073656d2076656c206d617373612066"
     "617563696275732c2065676574206c6163696e6961206c616375732074656d706f"
     "722e204e756c6c61207175697320756c747269636965732070757275732e205072"
     "6f696e20617563746f722072686f6e637573206e69626820636f6e64696d656e74"
     "756d206d6f6c6c69732e20416c697175616d20636f6e73657175617420656e696d"
     "206174206d65747573206c75637475732c206120656c656966656e642070757275"
     "7320656765737461732e20437572616269747572206174206e696268206d657475"
     "732e204e616d20626962656e64756d2c206e6571756520617420617563746f7220"
     "7472697374697175652c206c6f72656d206c696265726f20616c69717565742061"
     "7263752c206e6f6e20696e74657264756d2074656c6c7573206c65637475732073"
     "697420616d65742065726f732e20437261732072686f6e6375732c206d65747573"
     "206163206f726e617265206375727375732c20646f6c6f72206a7573746f20756c"
     "747269636573206d657475732c20617420756c6c616d636f7270657220766f6c75"
     "74706174"},
    {"zero", "#0", "80"},
    {"smallint", "#1", "01"},
    {"smallint2", "#16", "10"},
    {"smallint3", "#79", "4f"},
    {"smallint4", "#127", "7f"},
    {"mediumint1", "#128", "8180"},
    {"mediumint2", "#1000", "8203e8"},
    {"mediumint3", "#100000", "830186a0"},
    {"mediumint4", "#83729609699884896815286331701780722",
     "8f102030405060708090a0b0c0d0e0f2"},
    {"mediumint5",
     "#105315505618206987246253880190783558935785933862974822347068935681",
     "9c0100020003000400050006000700080009000a000b000c000d000e01"},
    {"emptylist", "[]", "c0"},
    {"stringlist", "['dog','god','cat']", "cc83646f6783676f6483636174"},
    {"multilist", "['zw',[#4],#1]", "c6827a77c10401"},
    {"shortListMax1",
     "['asdf','qwer','zxcv','asdf','qwer','zxcv','asdf','qwer','zxcv','asdf',"
     "'qwer']",
     "f784617364668471776572847a78637684617364668471776572847a7863768461736466"
     "8471776572847a78637684617364668471776572"},
    {"longList1", "[" ASDF "," ASDF "," ASDF "," ASDF "]", "f840" X4(ASDF_HEX)},
    {"longList2", "[" X4(X4(ASDF "," ASDF ",")) "]",
     "f90200" X4(X4(ASDF_HEX ASDF_HEX))},
    {"listsoflists", "[[[],[]],[]]", "c4c2c0c0c0"},
    {"listsoflists2", "[[],[[]],[[],[[]]]]", "c7c0c1c0c3c0c1c0"},
    {"dictTest1",
     "[['key1','val1'],['key2','val2'],['key3','val3'],['key4','val4']]",
     "ecca846b6579318476616c31ca846b6579328476616c32ca846b6579338476616c33ca84"
     "6b6579348476616c34"},
    {"bigint",
     "x010000000000000000000000000000000000000000000000000000000000000000",
     "a1010000000000000000000000000000000000000000000000000000000000000000"},
};

static const struct {
    const char *name, *hex;
} rlp_invalid[] = {
    {"int32Overflow", "bf0f000000000000021111"},
    {"int32Overflow2", "ff0f000000000000021111"},
    {"wrongSizeList", "f80180"},
    {"wrongSizeList2", "f80100"},
    {"incorrectLengthInArray", "b9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be"
                               "3f82ea2110e582081b0565df0"},
    {"randomRLP",
     "f861f83eb9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e582081"
     "b0565df027b90015002d5ef8325ae4d034df55d4b58d0dfba64d61ddd17be00000b9001a"
     "00dae30907045a2f66fa36f2bb8aa9029cbb0b8a7b3b5c435ab331"},
    {"bytesShouldBeSingleByte00", "8100"},
    {"bytesShouldBeSingleByte01", "8101"},
    {"bytesShouldBeSingleByte7F", "817F"},
    {"leadingZerosInLongLengthArray1",
     "b90040000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
     "2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"},
    {"leadingZerosInLongLengthArray2", "b800"},
    {"leadingZerosInLongLengthList1",
     "fb00000040000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"
     "1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"},
    {"leadingZerosInLongLengthList2", "f800"},
    {"nonOptimalLongLengthArray1", "b81000112233445566778899aabbccddeeff"},
    {"nonOptimalLongLengthArray2", "b801ff"},
    {"nonOptimalLongLengthList1", "f810000102030405060708090a0b0c0d0e0f"},
    {"nonOptimalLongLengthList2", "f803112233"},
    /* and ours */
    {"nothing", ""},
    {"55 bytes in the long form",
     "b837aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"a string that is cut", "83646f"},
    {"a list that is cut", "c283"},
    {"an item that leaves its list", "c18164"},
    {"a length that is cut", "b9ff"},
    {"a length of 2^64 - 1", "bfffffffffffffffff00"},
    {"a list's length of 2^64 - 1", "ffffffffffffffffff00"},
    {"a length that wraps round with its header", "fffffffffffffffff700"},
    {"a bad byte within a list", "c28101"},
    {"the same, deeper", "c4c3c28100"},
};

#endif
