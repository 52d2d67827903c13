package storetest

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

var byteChecks = []check{
	{"KeysAreBytes", keysAreBytes},
	{"KeysSortByBytes", keysSortByBytes},
	{"KeysMatchesAnyPrefix", keysMatchesAnyPrefix},
}

func keysAreBytes(e env) {
	want := map[mogile.Key]mogile.FID{}
	for _, key := range []mogile.Key{"Foo", "foo", "foo ", "\xff", "\xff\xfe", "\xc3", "\xc3\xa9", "\xed\xa0\x80", "a\x80b"} {
		want[key] = e.put(key)
	}
	for key, fid := range want {
		e.visible(key, fid)
		f, err := e.s.FileByFID(e.ctx, fid)
		e.must(err, "find fid %d", fid)
		e.same([]byte(f.Key), []byte(key), "bytes of key %q", key)
	}
}

// oddKeys makes keys that share prefixes, of bytes from both ends of their range.
func oddKeys(e env) []mogile.Key {
	const letters = "\x01\x7fAaZz%_\\\x80\xc3\xfe\xff"
	seed := rand.Uint64()
	e.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	keys := map[mogile.Key]bool{}
	for len(keys) < 200 {
		b := make([]byte, 1+rnd.IntN(4))
		for i := range b {
			b[i] = letters[rnd.IntN(len(letters))]
		}
		keys[mogile.Key(b)] = true
	}
	var sorted []mogile.Key
	for key := range keys {
		e.put(key)
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	return sorted
}

func keysSortByBytes(e env) {
	want := oddKeys(e)
	got, err := e.s.Keys(e.ctx, dm, "", "", len(want)+1)
	e.must(err, "list keys")
	e.same(got, want, "keys")
}

func keysMatchesAnyPrefix(e env) {
	all := oddKeys(e)
	for i, key := range all {
		prefix, after := key[:1+i%len(key)], all[(i*31)%len(all)]
		var want []mogile.Key
		for _, k := range all {
			if strings.HasPrefix(string(k), string(prefix)) && k > after {
				want = append(want, k)
			}
		}
		got, err := e.s.Keys(e.ctx, dm, prefix, after, len(all))
		e.must(err, "list keys from %q after %q", prefix, after)
		e.same(got, want, "keys from %q after %q", prefix, after)
	}
}
