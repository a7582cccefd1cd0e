"""Key files for tests: secp256k1, Keccak-256 and keystore V3 written anew in
Python, with a cheap key derivation, so that a test can have many silos.  What it
writes is read by the real program; AES comes from the openssl command."""
import hashlib
import json
import subprocess

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def _add(a, b):
    if a is None:
        return b
    if b is None:
        return a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        m = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        m = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (m * m - a[0] - b[0]) % P
    return x, (m * (a[0] - x) - a[1]) % P


def public_key(secret):
    """Compressed point of the secret (32 bytes), as "0x02..."."""
    k, point, base = int.from_bytes(secret, "big"), None, G
    assert 0 < k < N
    while k:
        if k & 1:
            point = _add(point, base)
        base = _add(base, base)
        k >>= 1
    return "0x%02x%064x" % (2 + point[1] % 2, point[0])


def keccak256(data):
    def rot(x, n):
        return ((x << n) | (x >> (64 - n))) & (2**64 - 1) if n else x
    rc, r = [], 1
    for _ in range(24):
        c = 0
        for j in range(7):
            if r & 1:
                c |= 1 << ((1 << j) - 1)
            r = (r << 1) ^ (0x171 if r & 0x80 else 0)
        rc.append(c)
    offset = [[0] * 5 for _ in range(5)]
    x, y = 1, 0
    for t in range(24):
        offset[x][y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    s = [[0] * 5 for _ in range(5)]
    data += b"\x01" + b"\0" * (-(len(data) + 1) % 136)
    data = data[:-1] + bytes([data[-1] | 0x80])
    for at in range(0, len(data), 136):
        for i in range(17):
            s[i % 5][i // 5] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8],
                                               "little")
        for c in rc:
            p = [s[x][0] ^ s[x][1] ^ s[x][2] ^ s[x][3] ^ s[x][4]
                 for x in range(5)]
            d = [p[(x - 1) % 5] ^ rot(p[(x + 1) % 5], 1) for x in range(5)]
            b = [[0] * 5 for _ in range(5)]
            for x in range(5):
                for y in range(5):
                    b[y][(2 * x + 3 * y) % 5] = rot(s[x][y] ^ d[x],
                                                    offset[x][y])
            for x in range(5):
                for y in range(5):
                    s[x][y] = b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y])
            s[0][0] ^= c
    return b"".join(s[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def write(path, secret, passphrase=b"open"):
    """A keystore V3 file with scrypt n = 2."""
    salt, iv = hashlib.sha256(b"s" + secret).digest(), secret[:16]
    key = hashlib.scrypt(passphrase, salt=salt, n=2, r=8, p=1, dklen=32)
    text = subprocess.run(
        ["openssl", "enc", "-aes-128-ctr", "-K", key[:16].hex(), "-iv",
         iv.hex(), "-nopad"], input=secret, stdout=subprocess.PIPE,
        check=True).stdout
    with open(path, "w") as f:
        json.dump({"version": 3, "id": "00000000-0000-4000-8000-000000000000",
                   "crypto": {
                       "cipher": "aes-128-ctr", "ciphertext": text.hex(),
                       "cipherparams": {"iv": iv.hex()}, "kdf": "scrypt",
                       "kdfparams": {"n": 2, "r": 8, "p": 1, "dklen": 32,
                                     "salt": salt.hex()},
                       "mac": keccak256(key[16:] + text).hex()}}, f)
