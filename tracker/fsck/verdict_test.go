package fsck_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
)

const length = 100

func sum(t mogile.HashType, text string) mogile.Checksum {
	h := t.New()
	h.Write([]byte(text))
	return mogile.Checksum{Type: t, Sum: h.Sum(nil)}
}

// kinds is how copies are written down: what each was seen as, and what it holds.
var kinds = map[string]fsck.Copy{
	"?":     {},
	"lost":  {Seen: fsck.Lost},
	"miss":  {Seen: fsck.Absent},
	"short": {Seen: fsck.Present, Length: length - 1},
	"whole": {Seen: fsck.Present, Length: length},
	"A":     {Seen: fsck.Present, Length: length, Sum: sum(mogile.HashMD5, "A")},
	"B":     {Seen: fsck.Present, Length: length, Sum: sum(mogile.HashMD5, "B")},
	"C":     {Seen: fsck.Present, Length: length, Sum: sum(mogile.HashMD5, "C")},
	"+A":    {Seen: fsck.Present, Length: length, Sum: sum(mogile.HashMD5, "A"), New: true},
	"+":     {Seen: fsck.Present, Length: length, New: true},
}

// read makes "1=A 2=miss" copies.
func read(text string) []fsck.Copy {
	var copies []fsck.Copy
	for _, word := range strings.Fields(text) {
		dev, kind, _ := strings.Cut(word, "=")
		c, known := kinds[kind]
		id, err := mogile.ParseDevID(dev)
		if !known || err != nil {
			panic(word)
		}
		c.Dev = id
		copies = append(copies, c)
	}
	return copies
}

// say writes a verdict down.
func say(v fsck.Verdict) string {
	var words []string
	if v.Search {
		words = append(words, "search")
	}
	for _, e := range v.Events {
		if words = append(words, string(e.Code)); e.Dev != 0 {
			words[len(words)-1] += fmt.Sprintf("/%d", e.Dev)
		}
	}
	for _, list := range []struct {
		verb string
		devs []mogile.DevID
	}{{"add", v.Add}, {"erase", v.Erase}, {"drop", v.Drop}} {
		if len(list.devs) > 0 {
			words = append(words, list.verb+strings.ReplaceAll(fmt.Sprint(list.devs), " ", ","))
		}
	}
	if !v.Record.IsZero() {
		words = append(words, "record")
	}
	if v.Stalled {
		words = append(words, "stalled")
	}
	return strings.Join(words, " ")
}

func TestVerdicts(t *testing.T) {
	md5, sha1 := mogile.HashMD5, mogile.HashSHA1
	recorded := sum(md5, "A")
	none := mogile.Checksum{}
	all, some := fsck.SearchedAll, fsck.SearchedSome
	for _, c := range []struct {
		copies   string
		e        fsck.Evidence
		want     string
		violates bool
	}{
		// By their lengths.
		{copies: "1=whole 2=whole"},
		{copies: "1=whole 2=whole", violates: true, want: "POVI"},
		{copies: "1=whole 2=miss", want: "MISS/2 drop[2]"},
		{copies: "1=short 2=whole", want: "BLEN/1 erase[1] drop[1]"},
		{copies: "1=whole 2=lost", want: "drop[2]"},
		{copies: "1=whole 2=?", want: "stalled"},
		{copies: "1=whole 2=?", violates: true, want: "POVI stalled"},
		{copies: "1=whole 2=miss 3=?", want: "MISS/2 drop[2] stalled"},
		{copies: "1=short 2=whole 3=miss 4=lost", want: "MISS/3 BLEN/1 erase[1] drop[4,3,1]"},

		// No copy is good.
		{copies: "", want: "search"},
		{copies: "1=miss 2=?", want: "search"},
		{copies: "1=short", want: "search"},
		{copies: "", e: fsck.Evidence{Searched: all}, want: "NOPA SRCH GONE"},
		{copies: "1=miss 2=lost", e: fsck.Evidence{Searched: all}, want: "MISS/1 SRCH GONE drop[2,1]"},
		{copies: "1=miss 2=short", e: fsck.Evidence{Searched: all}, want: "MISS/1 BLEN/2 SRCH GONE drop[1]"},
		{copies: "1=miss", e: fsck.Evidence{Searched: some}, want: "stalled"},
		{copies: "1=miss 2=?", e: fsck.Evidence{Searched: all}, want: "stalled"},
		{copies: "1=miss 5=+", e: fsck.Evidence{Searched: all}, want: "MISS/1 SRCH FOND add[5] drop[1]"},
		{copies: "5=+", e: fsck.Evidence{Searched: all}, want: "NOPA SRCH FOND add[5]"},
		{copies: "1=short 2=? 5=+", e: fsck.Evidence{Searched: all}, want: "BLEN/1 SRCH FOND add[5] erase[1] drop[1] stalled"},

		// By what is recorded.
		{copies: "1=A 2=A", e: fsck.Evidence{Recorded: recorded, Class: md5}},
		{copies: "1=A 2=B", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "BSUM/2 erase[2] drop[2]"},
		{copies: "1=A 2=B 3=B", e: fsck.Evidence{Recorded: recorded}, want: "BSUM/2 BSUM/3 erase[2,3] drop[2,3]"},
		{copies: "1=A 2=B 3=?", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "BSUM/2 erase[2] drop[2] stalled"},
		{copies: "1=B 2=B", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "BSUM"},
		{copies: "1=B 2=B 3=miss", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "MISS/3 BSUM"},
		{copies: "1=B 2=B 3=?", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "stalled"},
		{copies: "1=B 2=C", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "search"},
		{copies: "1=B", e: fsck.Evidence{Recorded: recorded, Class: md5}, want: "search"},
		{copies: "1=B 2=C", e: fsck.Evidence{Recorded: recorded, Class: md5, Searched: all}, want: "SRCH BSUM"},
		{copies: "1=B 2=C", e: fsck.Evidence{Recorded: recorded, Class: md5, Searched: some}, want: "stalled"},
		{copies: "1=B 2=miss 5=+A", e: fsck.Evidence{Recorded: recorded, Searched: all}, want: "MISS/2 SRCH FOND BSUM/1 add[5] erase[1] drop[2,1]"},
		{copies: "1=A 2=A", e: fsck.Evidence{Recorded: recorded, Class: sha1}, want: "BALG"},
		{copies: "1=A 2=A", e: fsck.Evidence{Recorded: recorded, Mode: fsck.Checksums{Hash: sha1}}, want: "BALG"},
		{copies: "1=A 2=B", e: fsck.Evidence{Recorded: sum(sha1, "A"), Class: md5}, want: "BSUM"},
		{copies: "1=whole 2=whole", e: fsck.Evidence{Recorded: recorded, Class: sha1}},

		// Where nothing is.
		{copies: "1=A 2=A", e: fsck.Evidence{Class: md5}, want: "NSUM record"},
		{copies: "1=A 2=A 3=?", e: fsck.Evidence{Class: md5}, want: "stalled"},
		{copies: "1=A 2=A", e: fsck.Evidence{Mode: fsck.Checksums{Hash: md5}}},
		{copies: "1=A 2=B", e: fsck.Evidence{Class: md5}, want: "BSUM"},
		{copies: "1=A 2=A 3=B", e: fsck.Evidence{Class: md5}, want: "BSUM"},
		{copies: "1=A 2=B", e: fsck.Evidence{Mode: fsck.Checksums{Hash: md5}}, want: "MSUM"},
		{copies: "1=A 2=B 3=miss", e: fsck.Evidence{Mode: fsck.Checksums{Hash: md5}}, want: "MISS/3 MSUM"},
		{copies: "1=A 2=B 3=?", e: fsck.Evidence{Class: md5}, want: "stalled"},
		{copies: "1=A 2=miss", e: fsck.Evidence{Class: md5, Recorded: none}, want: "MISS/2 NSUM drop[2] record"},
	} {
		c.e.Length, c.e.Copies, c.e.Violates = length, read(c.copies), c.violates
		v := fsck.Judge(c.e)
		if got := say(v); got != c.want {
			t.Errorf("%s recorded %s, class %s, mode %+v, searched %d: got %q; want %q",
				c.copies, c.e.Recorded, c.e.Class, c.e.Mode, c.e.Searched, got, c.want)
		}
		if clean := c.want == ""; v.Clean() != clean {
			t.Errorf("%s: got clean %v; want %v", c.copies, v.Clean(), clean)
		}
	}
}

// anyEvidence is of whatever copies, with whatever digests.
func anyEvidence(t *rapid.T) fsck.Evidence {
	hash := rapid.SampledFrom([]mogile.HashType{mogile.HashNone, mogile.HashMD5, mogile.HashSHA1})
	e := fsck.Evidence{
		Length: length, Class: hash.Draw(t, "class"), Violates: rapid.Bool().Draw(t, "violates"),
		Mode:     fsck.Checksums{Off: rapid.Bool().Draw(t, "off"), Hash: hash.Draw(t, "mode")},
		Searched: rapid.SampledFrom([]fsck.Searched{fsck.NotSearched, fsck.SearchedSome, fsck.SearchedAll}).Draw(t, "searched"),
	}
	text := rapid.SampledFrom([]string{"A", "B", "C"})
	if r := hash.Draw(t, "recorded"); r != mogile.HashNone {
		e.Recorded = sum(r, "A")
	}
	taken := hash.Draw(t, "taken")
	for i := range rapid.IntRange(0, 5).Draw(t, "copies") {
		c := fsck.Copy{
			Dev:  mogile.DevID(i + 1),
			Seen: rapid.SampledFrom([]fsck.Seen{fsck.Unknown, fsck.Lost, fsck.Absent, fsck.Present, fsck.Present}).Draw(t, "seen"),
		}
		if c.Seen == fsck.Present {
			c.Length = rapid.SampledFrom([]int64{length, length, length - 1, 0}).Draw(t, "length")
			c.New = e.Searched == fsck.SearchedAll && rapid.Bool().Draw(t, "new")
			if taken != mogile.HashNone && c.Length == length {
				c.Sum = sum(taken, text.Draw(t, "text"))
			}
		}
		e.Copies = append(e.Copies, c)
	}
	return e
}

// No verdict takes the last copy away that might be good, and none leaves bytes that
// nobody knows of.
func TestNoVerdictTakesTheLastCopyThatMightBeGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		v := fsck.Judge(e)
		proven := 0 // copies that are kept and good
		for _, c := range e.Copies {
			dropped, erased := slices.Contains(v.Drop, c.Dev), slices.Contains(v.Erase, c.Dev)
			kept := !dropped && (!c.New || slices.Contains(v.Add, c.Dev))
			if kept && e.Good(c) {
				proven++
			}
			switch {
			case dropped && c.Seen == fsck.Unknown:
				t.Errorf("device %d could not be asked, and loses its copy", c.Dev)
			case dropped && c.New:
				t.Errorf("device %d loses a copy that is not recorded", c.Dev)
			case dropped && e.Good(c):
				t.Errorf("device %d loses a good copy", c.Dev)
			case erased && !dropped:
				t.Errorf("device %d is erased and stays recorded", c.Dev)
			case dropped && c.Seen == fsck.Present && !erased:
				t.Errorf("device %d is left with bytes that nobody knows of", c.Dev)
			case erased && c.Seen != fsck.Present:
				t.Errorf("device %d is erased; nothing was seen there", c.Dev)
			case slices.Contains(v.Add, c.Dev) && !e.Good(c):
				t.Errorf("device %d is added; its copy is not good", c.Dev)
			}
		}
		switch {
		case len(v.Erase) > 0 && proven == 0:
			t.Errorf("bytes are erased while no copy is good: %s", say(v))
		case len(v.Drop) > 0 && proven == 0 && e.Searched != fsck.SearchedAll:
			t.Errorf("copies are forgotten before all devices were asked: %s", say(v))
		case v.Search && !v.Clean() && len(v.Drop)+len(v.Add)+len(v.Events) > 0:
			t.Errorf("something is decided before the search: %s", say(v))
		case !v.Record.IsZero() && (!e.Recorded.IsZero() || v.Record.Type != e.Class):
			t.Errorf("got %s recorded over %s, class %s", v.Record, e.Recorded, e.Class)
		}
		for _, c := range e.Copies {
			if c.Seen == fsck.Unknown && !v.Stalled && !v.Search {
				t.Errorf("device %d could not be asked, and the file is not looked at again: %s", c.Dev, say(v))
			}
		}
	})
}

// Majorities prove nothing: without a checksum to go by, copies that differ all stay.
func TestCopiesThatDifferAllStayWhereNothingIsRecorded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		e.Recorded = mogile.Checksum{}
		seen := map[string]bool{}
		for _, c := range e.Copies {
			if c.Seen == fsck.Present && c.Length == length {
				seen[c.Sum.String()] = true
			}
		}
		if v := fsck.Judge(e); len(seen) > 1 && (len(v.Drop) > 0 || len(v.Add) > 0 || !v.Record.IsZero()) {
			t.Errorf("got %s; want nothing touched", say(v))
		}
	})
}

func TestTheSettingSaysWhatIsDigested(t *testing.T) {
	md5, sha1, no := mogile.HashMD5, mogile.HashSHA1, mogile.HashNone
	for _, c := range []struct {
		setting         string
		class, recorded mogile.HashType
		casual, careful mogile.HashType
	}{
		{"", no, no, no, no}, {"", md5, no, md5, md5}, {"", md5, md5, md5, md5}, {"", sha1, md5, md5, md5}, {"", no, md5, no, md5},
		{"off", md5, md5, no, md5}, {"off", sha1, no, no, sha1}, {"off", no, no, no, no}, {"off", no, sha1, no, sha1},
		{"MD5", no, no, md5, md5}, {"SHA-1", no, no, sha1, sha1}, {"SHA-1", md5, no, md5, md5}, {"SHA-1", no, md5, md5, md5},
		{"class", md5, no, md5, md5}, {"nonsense", no, no, no, no},
		{"", md5, 5, md5, md5}, // a checksum that nobody can compute
	} {
		mode := fsck.ReadChecksums(c.setting)
		recorded := mogile.Checksum{Type: c.recorded}
		if got := mode.Casual(c.class, recorded); got != c.casual {
			t.Errorf("%q, class %s, recorded %d: got %s at first sight; want %s", c.setting, c.class, c.recorded, got, c.casual)
		}
		if got := mode.Careful(c.class, recorded); got != c.careful {
			t.Errorf("%q, class %s, recorded %d: got %s with care; want %s", c.setting, c.class, c.recorded, got, c.careful)
		}
	}
}
