"""Sites that train under masks: data, key files, silo.yaml, and jobs."""
import hashlib
import os

import keyfile
from harness import write, write_silos


def secret_of(name):
    return hashlib.sha256(b"covey test " + name.encode()).digest()


def make_sites(folder, names, trusted=None, limits="", data=True, **kw):
    """FOLDER/sites/NAME.{csv,yaml,key}; every site trusts all others, or those
    that trusted(name) lists. Returns the folder of the sites."""
    sites = os.path.join(folder, "sites")
    os.makedirs(sites, exist_ok=True)
    if data:
        write_silos(sites, names, **kw)
    pw = write(os.path.join(sites, "pass"), "open\n")
    os.chmod(pw, 0o600)
    keys = {n: keyfile.public_key(secret_of(n)) for n in names}
    for n in names:
        path = os.path.join(sites, n + ".key")
        keyfile.write(path, secret_of(n))
        os.chmod(path, 0o600)
        known = trusted(n) if trusted else [m for m in names if m != n]
        write(os.path.join(sites, n + ".yaml"),
              "silo: %s\ndata: %s.csv\nstate: state-%s\nkey: %s.key\n"
              "password_file: pass\n%s%s" %
              (n, n, n, n,
               "trusted: [%s]\n" % ", ".join('"%s"' % keys[m] for m in known)
               if known else "", limits))
    return sites


def silos_text(names, extra=""):
    return "[" + ", ".join('{name: %s, public_key: "%s"%s}' % (
        n, keyfile.public_key(secret_of(n)), extra) for n in names) + "]"


def secure_job(folder, names, rest="", secure="{collusion: 1}",
               model="{kind: softmax}", strategy="fedavg", rounds=3,
               local="{steps: 4, batch: 16, learning_rate: 0.1}",
               training="  weights: equal\n", data="", name="job.yaml",
               silos=None):
    return write(os.path.join(folder, name),
                 "covey: 1\nname: test\nsilos: %s\n"
                 "data: {format: csv, target: label, target_levels: "
                 "[\"0\", \"1\", \"2\"]%s}\n"
                 "model: %s\ntraining:\n  strategy: %s\n  rounds: %d\n"
                 "  local: %s\n%s%s%s\n" %
                 (silos or silos_text(names), data and ", " + data, model,
                  strategy, rounds, local, training,
                  "secure_aggregation: %s\n" % secure if secure else "", rest))
