package mogile_test

import (
	"strconv"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// paths are the examples of docs/spec/storage-node.md §1.1, and the ends of the
// ranges.
var paths = []struct {
	dev  mogile.DevID
	fid  mogile.FID
	path string
}{
	{1, 1, "/dev1/0/000/000/0000000001.fid"},
	{2, 5000010, "/dev2/0/005/000/0005000010.fid"},
	{1, 123456789, "/dev1/0/123/456/0123456789.fid"},
	{1, 1234567890, "/dev1/1/234/567/1234567890.fid"},
	{1, 12345678901, "/dev1/1/234/567/12345678901.fid"},
	{2, 12345678901, "/dev2/1/234/567/12345678901.fid"},
	{16777215, 1<<64 - 1, "/dev16777215/1/844/674/18446744073709551615.fid"},
}

func TestAFIDHasItsPathOnEveryDevice(t *testing.T) {
	for _, p := range paths {
		if got := p.fid.Path(p.dev); got != p.path {
			t.Errorf("fid %d on dev %d: got %s; want %s", p.fid, p.dev, got, p.path)
		}
		dev, fid, err := mogile.ParsePath(p.path)
		if err != nil || dev != p.dev || fid != p.fid {
			t.Errorf("%s: got dev %d, fid %d, %v; want dev %d, fid %d", p.path, dev, fid, err, p.dev, p.fid)
		}
	}
}

func TestPathsThatNoFIDHasAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/", "/dev1", "/dev1/", "/dev1/usage",
		"dev1/0/000/000/0000000001.fid",            // no slash before it
		"/dev1/0/000/000/0000000001",               // no suffix
		"/dev1/0/000/000/0000000000.fid",           // fid 0
		"/dev0/0/000/000/0000000001.fid",           // dev 0
		"/dev01/0/000/000/0000000001.fid",          // devid with a leading zero
		"/dev16777216/0/000/000/0000000001.fid",    // devid too large for its column
		"/dev1/0/000/001/0000000001.fid",           // not the fid's directory
		"/dev1/0/000/000/1.fid",                    // not padded
		"/dev1/0/000/000/00000000001.fid",          // padded too far
		"/dev1/0/000/000/../000/0000000001.fid",    // not plain
		"/dev1//0/000/000/0000000001.fid",          // not plain
		"/dev1/0/000/000/+000000001.fid",           // a sign is no digit
		"/dev1/1/844/674/18446744073709551616.fid", // beyond 64 bits
	} {
		if dev, fid, err := mogile.ParsePath(path); err == nil {
			t.Errorf("%q: got dev %d, fid %d; want an error", path, dev, fid)
		}
	}
}

func TestNumbersAreReadStrictly(t *testing.T) {
	for _, s := range []string{"", "0", "-1", "+1", " 1", "1 ", "1a", "0x1", "18446744073709551616"} {
		if fid, err := mogile.ParseFID(s); err == nil {
			t.Errorf("fid %q: got %d; want an error", s, fid)
		}
		if dev, err := mogile.ParseDevID(s); err == nil {
			t.Errorf("devid %q: got %d; want an error", s, dev)
		}
	}
	if dev, err := mogile.ParseDevID("16777216"); err == nil {
		t.Errorf("devid 16777216: got %d; want an error", dev)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, p := range paths {
		f.Add(p.path)
	}
	f.Add("/dev1/0/000/000/../../usage")
	f.Fuzz(func(t *testing.T, path string) {
		dev, fid, err := mogile.ParsePath(path)
		if err == nil && fid.Path(dev) != path {
			t.Errorf("%q: got dev %d, fid %d, whose path is %q; want an error", path, dev, fid, fid.Path(dev))
		}
	})
}

func FuzzFIDPath(f *testing.F) {
	f.Add(uint64(1), uint32(1))
	f.Add(uint64(1<<64-1), uint32(1<<24-1))
	f.Fuzz(func(t *testing.T, n uint64, d uint32) {
		fid, ferr := mogile.ParseFID(strconv.FormatUint(n, 10))
		dev, derr := mogile.ParseDevID(strconv.FormatUint(uint64(d), 10))
		if ferr != nil || derr != nil {
			if n != 0 && d != 0 && d < 1<<24 {
				t.Errorf("fid %d, dev %d: got %v, %v; want them read", n, d, ferr, derr)
			}
			return
		}
		gotDev, gotFID, err := mogile.ParsePath(fid.Path(dev))
		if err != nil || gotDev != dev || gotFID != fid {
			t.Errorf("%s: got dev %d, fid %d, %v; want dev %d, fid %d", fid.Path(dev), gotDev, gotFID, err, dev, fid)
		}
	})
}
