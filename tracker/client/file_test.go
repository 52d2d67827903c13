package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	url1 = "http://10.0.0.1:7500/dev1/0/000/000/0000000007.fid"
	url2 = "http://10.0.0.2:7500/dev2/0/000/000/0000000007.fid"
	// later is the path of another fid on device 1.
	later = "http://10.0.0.1:7500/dev1/0/000/000/0000000008.fid"

	info7 = "OK fid=7&length=5&class=thumb&devcount=2&domain=images&key=k"
	info8 = "OK length=6&key=k&fid=8&domain=images&devcount=1&class="

	unknown = "ERR unknown_key unknown_key"
)

func wantHeard(t *testing.T, f *fake, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, f.lines("")); diff != "" {
		t.Errorf("what the tracker heard (-want +got):\n%s", diff)
	}
}

func TestLocateAsksForPathsAndLengthInOnePiece(t *testing.T) {
	f := newFake(t)
	// It keeps the first answer back until it has heard the second question.
	f.on("get_paths", func(net.Conn, string) bool { return true })
	f.on("file_info", say("OK path2="+url2+"&paths=2&path1="+url1, info7+"&checksum=MD5:d41d8cd98f00b204e9800998ecf8427e"))
	c := newClient(t, addrs(f))
	got, err := c.Locate(t.Context(), "images", "a b&c", client.MainZone)
	sum, _ := mogile.ParseChecksum("MD5:d41d8cd98f00b204e9800998ecf8427e")
	want := mogile.Location{FID: 7, Length: 5, Checksum: sum, Copies: []mogile.Copy{{Dev: 1, URL: url1}, {Dev: 2, URL: url2}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	wantHeard(t, f, "get_paths domain=images&key=a+b%26c&pathcount=99&noverify=1", "file_info domain=images&key=a+b%26c")
}

func TestLocateAsksInItsZone(t *testing.T) {
	f := newFake(t)
	f.on("get_paths", say("OK paths=0"))
	f.on("file_info", say(info7))
	c := newClient(t, addrs(f))
	got, err := c.Locate(t.Context(), "images", "k", client.AltZone)
	if want := (mogile.Location{FID: 7, Length: 5, Copies: []mogile.Copy{}}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v: a file without a readable copy", got, err, want)
	}
	if got := f.lines("get_paths")[0]; !strings.Contains(got, "&zone=alt&") {
		t.Errorf("got %q; want the zone in it", got)
	}
}

func TestLocateTellsRefusals(t *testing.T) {
	for name, answers := range map[string][2]string{
		"unknown":         {unknown, unknown},
		"deleted between": {"OK paths=1&path1=" + url1, unknown},
		"created between": {unknown, info7},
	} {
		f := newFake(t)
		f.on("get_paths", say(answers[0]))
		f.on("file_info", say(answers[1]))
		c := newClient(t, addrs(f))
		if _, err := c.Locate(t.Context(), "images", "k", client.MainZone); !errors.Is(err, protocol.UnknownKey) {
			t.Errorf("%s: got %v; want %v", name, err, protocol.UnknownKey)
		}
	}
}

// A key that gets another content between the two answers is asked for again; and
// verified, because an old tracker may have the paths from a memcache.
func TestLocateNeverMixesTwoContents(t *testing.T) {
	f := newFake(t)
	f.on("get_paths", say("OK paths=1&path1="+url1), say("OK paths=1&path1="+later))
	f.on("file_info", say(info8))
	c := newClient(t, addrs(f))
	got, err := c.Locate(t.Context(), "images", "k", client.MainZone)
	if err != nil || got.FID != 8 || got.Length != 6 || got.Copies[0].URL != later {
		t.Errorf("got %+v, %v; want all of fid 8", got, err)
	}
	if asked := f.lines("get_paths"); len(asked) != 2 || strings.Contains(asked[1], "noverify") {
		t.Errorf("got %q; want a second, verified question", asked)
	}

	f.on("get_paths", say("OK paths=1&path1="+url1))
	if got, err := c.Locate(t.Context(), "images", "k", client.MainZone); err == nil {
		t.Errorf("got %+v of a key that keeps changing; want an error", got)
	}
	if n := len(f.lines("get_paths")); n != 5 {
		t.Errorf("got %d questions; want the tries bounded", n)
	}
}

func TestLocateGoesToTheNextTrackerWithBothQuestions(t *testing.T) {
	bad, good := newFake(t), newFake(t)
	bad.on("get_paths", say("OK paths=1&path1="+url1))
	bad.on("file_info", sayRaw("OK fid=7&leng"))
	good.on("get_paths", say("OK paths=1&path1="+url2))
	good.on("file_info", say(info7))
	c := newClient(t, addrs(bad, good))
	got, err := c.Locate(t.Context(), "images", "k", client.MainZone)
	if err != nil || len(got.Copies) != 1 || got.Copies[0].URL != url2 {
		t.Errorf("got %+v, %v; want the other tracker's answers", got, err)
	}
}

func TestAnswersThatMakeNoSenseAreErrors(t *testing.T) {
	paths := "OK paths=1&path1=" + url1
	for _, answers := range [][2]string{
		{"OK ", info7},
		{"OK paths=-1", info7},
		{"OK paths=many", info7},
		{"OK paths=2&path1=" + url1, info7},
		{"OK paths=9223372036854775807&path1=" + url1, info7},
		{"OK paths=1&path1=https://h/dev1/0/000/000/0000000007.fid", info7},
		{"OK paths=1&path1=http:///dev1/0/000/000/0000000007.fid", info7},
		{"OK paths=1&path1=http://h:7500/etc/passwd", info7},
		{paths, "OK "},
		{paths, "OK fid=7"},
		{paths, "OK fid=0&length=5"},
		{paths, "OK fid=7&length=-5"},
		{paths, "OK fid=7&length=99999999999999999999"},
	} {
		f := newFake(t)
		f.on("get_paths", say(answers[0]))
		f.on("file_info", say(answers[1]))
		c := newClient(t, addrs(f))
		if got, err := c.Locate(t.Context(), "images", "k", client.MainZone); err == nil {
			t.Errorf("%q: got %+v; want an error", answers, got)
		}
	}
}

func TestInfo(t *testing.T) {
	f := newFake(t)
	f.on("file_info", say(info7+"&checksum=MISSING"))
	c := newClient(t, addrs(f))
	got, err := c.Info(t.Context(), "images", "k")
	if want := (client.Info{FID: 7, Length: 5, Class: "thumb", DevCount: 2}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestDeleteSettlesWhatALostAnswerLeavesOpen(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second string
		want          error
	}{
		"it had not happened":  {"", "OK ", nil},
		"it had happened":      {"", unknown, nil},
		"lost again":           {"", "hang up", client.ErrLost},
		"tracker in trouble":   {"ERR failure Operation+failed", unknown, nil},
		"trouble, both times":  {"ERR failure Operation+failed", "ERR db Database+error", protocol.DB},
		"no such key at all":   {unknown, "", protocol.UnknownKey},
		"done at the first go": {"OK ", "", nil},
	} {
		f := newFake(t)
		moves := []move{sayOr(tc.first), sayOr(tc.second)}
		f.on("delete", moves...)
		c := newClient(t, addrs(f))
		if err := c.Delete(t.Context(), "images", "k"); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v; want %v", name, err, tc.want)
		}
	}
}

// sayOr is say, or hangUp for what is no answer.
func sayOr(line string) move {
	if line == "" || line == "hang up" {
		return hangUp
	}
	return say(line)
}

func TestDeleteThatCantBeRepeatedSaysThatItMayHaveHappened(t *testing.T) {
	f := newFake(t)
	f.on("delete", func(net.Conn, string) bool {
		f.ln.Close()
		return false
	})
	c := newClient(t, addrs(f))
	if err := c.Delete(t.Context(), "images", "k"); !errors.Is(err, client.ErrLost) {
		t.Errorf("got %v; want %v", err, client.ErrLost)
	}
}

// table is a fake tracker's keys, for commands whose second try depends on the first.
type table struct {
	f    *fake
	keys map[string]string // key → answer of file_info
}

func newTable(t *testing.T, keys map[string]string) *table {
	k := &table{f: newFake(t), keys: keys}
	k.f.on("file_info", func(conn net.Conn, line string) bool {
		k.f.mu.Lock()
		info, ok := k.keys[protocol.Parse([]byte(strings.TrimRight(line, "\r\n"))).Arg("key")]
		k.f.mu.Unlock()
		if !ok {
			info = unknown
		}
		return say(info)(conn, "")
	})
	return k
}

// rename is a move that renames, and then goes on with then.
func (k *table) rename(from, to string, then move) move {
	return func(conn net.Conn, line string) bool {
		k.f.mu.Lock()
		if info, ok := k.keys[from]; ok {
			delete(k.keys, from)
			k.keys[to] = info
		}
		k.f.mu.Unlock()
		return then(conn, line)
	}
}

func TestRenameSettlesWhatALostAnswerLeavesOpen(t *testing.T) {
	for name, tc := range map[string]struct {
		keys  map[string]string
		moves func(k *table) []move
		want  error
		times int
	}{
		"it had not happened": {
			map[string]string{"a": info7},
			func(k *table) []move { return []move{hangUp, k.rename("a", "b", say("OK "))} }, nil, 2,
		},
		"it had happened": {
			map[string]string{"a": info7},
			func(k *table) []move { return []move{k.rename("a", "b", hangUp)} }, nil, 1,
		},
		"it had happened, and the key is another's now": {
			map[string]string{"a": info7},
			func(k *table) []move {
				return []move{k.rename("a", "b", k.rename("b", "elsewhere", hangUp))}
			}, client.ErrLost, 1,
		},
		"the second answer was lost too": {
			map[string]string{"a": info7},
			func(k *table) []move { return []move{hangUp, k.rename("a", "b", hangUp)} }, nil, 2,
		},
		"it never happens": {
			map[string]string{"a": info7}, func(*table) []move { return []move{hangUp} }, client.ErrLost, 2,
		},
		"the new key is taken": {
			map[string]string{"a": info7, "b": info8},
			func(*table) []move { return []move{hangUp, say("ERR key_exists x")} }, protocol.KeyExists, 2,
		},
		// Not to be taken for a rename that has happened.
		"there was no such key": {map[string]string{"b": info8}, func(*table) []move { return []move{hangUp} }, protocol.UnknownKey, 0},
		"refused":               {map[string]string{"a": info7}, func(*table) []move { return []move{say("ERR no_key no_key")} }, protocol.NoKey, 1},
		"done":                  {map[string]string{"a": info7}, func(*table) []move { return []move{say("OK ")} }, nil, 1},
	} {
		k := newTable(t, tc.keys)
		k.f.on("rename", tc.moves(k)...)
		c := newClient(t, addrs(k.f))
		if err := c.Rename(t.Context(), "images", "a", "b"); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v; want %v", name, err, tc.want)
		}
		if got := len(k.f.lines("rename")); got != tc.times {
			t.Errorf("%s: got %d renames; want %d", name, got, tc.times)
		}
	}
}

var closing = client.Closing{
	Domain: "images", Key: "k", FID: 7, Copy: mogile.Copy{Dev: 1, URL: url1}, Size: 5,
	Checksum: mogile.Checksum{Type: mogile.HashMD5, Sum: make([]byte, 16)}, Zone: client.AltZone,
}

func TestAnUploadIsOpenedAndClosedWithAllThatIsKnown(t *testing.T) {
	f := newFake(t)
	f.on("create_open", say("OK devid_2=2&fid=7&path_1="+url1+"&dev_count=2&path_2="+url2+"&devid_1=1"))
	c := newClient(t, addrs(f))
	got, err := c.OpenUpload(t.Context(), client.Upload{Domain: "images", Key: "k", Class: "thumb", Size: 5, Zone: client.AltZone})
	want := client.Opened{FID: 7, Copies: 1, Destinations: []mogile.Copy{{Dev: 1, URL: url1}, {Dev: 2, URL: url2}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	if err := c.CloseUpload(t.Context(), closing); err != nil {
		t.Error(err)
	}
	if err := c.AbandonUpload(t.Context(), closing); err != nil {
		t.Error(err)
	}
	verify := closing
	verify.Verify = true
	if err := c.CloseUpload(t.Context(), verify); err != nil {
		t.Error(err)
	}
	const path = "&fid=7&devid=1&path=http://10.0.0.1:7500/dev1/0/000/000/0000000007.fid"
	const sum = "&size=5&checksum=MD5:00000000000000000000000000000000"
	wantHeard(t, f,
		"create_open domain=images&key=k&class=thumb&size=5&multi_dest=1&zone=alt",
		"create_close domain=images&key=k"+path+sum+"&zone=alt",
		"create_close domain=images&key="+path+"&zone=alt",
		"create_close domain=images&key=k"+path+sum+"&checksumverify=1&zone=alt",
	)
}

func TestBothStylesOfOpeningAreRead(t *testing.T) {
	for answer, want := range map[string]int{
		"OK fid=7&devid=1&path=" + url1:                 1,
		"OK fid=7&dev_count=1&devid_1=1&path_1=" + url1: 1,
		"OK fid=7":             0,
		"OK fid=7&dev_count=0": 0,
		"OK fid=7&dev_count=x": 0,
		"OK fid=7&dev_count=2&devid_1=1&path_1=" + url1:         0,
		"OK fid=8&devid=1&path=" + url1:                         0,
		"OK fid=7&devid=2&path=" + url1:                         0,
		"OK devid=1&path=" + url1:                               0,
		"OK fid=7&dev_count=9223372036854775807&path_1=" + url1: 0,
	} {
		f := newFake(t)
		f.on("create_open", say(answer))
		c := newClient(t, addrs(f))
		got, err := c.OpenUpload(t.Context(), client.Upload{Domain: "images"})
		if len(got.Destinations) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: got %+v, %v; want %d destinations", answer, got, err, want)
		}
	}
}

func TestCloseUploadSettlesWhatALostAnswerLeavesOpen(t *testing.T) {
	gone := say("ERR no_temp_file No+tempfile+or+file+already+closed")
	for name, tc := range map[string]struct {
		closes []move
		infos  []move
		want   error
		times  int
	}{
		"it had happened":       {[]move{hangUp}, []move{say(info7)}, nil, 1},
		"it had not happened":   {[]move{hangUp, say("OK ")}, []move{say(unknown)}, nil, 2},
		"it was refused":        {[]move{hangUp, gone}, []move{say(unknown)}, client.ErrLost, 2},
		"it is being done":      {[]move{hangUp, gone}, []move{say(unknown), say(unknown), say(info7)}, nil, 2},
		"another content there": {[]move{hangUp, gone}, []move{say(info8)}, client.ErrLost, 2},
		"replaces an old one":   {[]move{hangUp, say("OK ")}, []move{say("OK fid=6&length=1")}, nil, 2},
		"lost twice, done":      {[]move{hangUp, hangUp}, []move{say(unknown), say(info7)}, nil, 2},
		"lost twice":            {[]move{hangUp, hangUp}, []move{say(unknown)}, client.ErrLost, 2},
		"refused the second time": {
			[]move{hangUp, say("ERR size_mismatch Expected")}, []move{say(unknown)}, protocol.SizeMismatch, 2,
		},
		"tracker in trouble": {[]move{say("ERR failure Operation+failed"), say("OK ")}, []move{say(unknown)}, nil, 2},
		"trouble, and done":  {[]move{say("ERR failure Operation+failed")}, []move{say(info7)}, nil, 1},
		"trouble, both times": {
			[]move{say("ERR failure Operation+failed")}, []move{say("ERR failure Operation+failed")}, protocol.Failure, 2,
		},
		// An answer is an answer: nothing to find out.
		"refused at once": {[]move{gone}, []move{say(info7)}, protocol.NoTempFile, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on("create_close", tc.closes...)
			f.on("file_info", tc.infos...)
			c, err := client.New(client.Config{Addresses: addrs(f)}) // not newClient, which counts goroutines
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.CloseUpload(t.Context(), closing); !errors.Is(err, tc.want) {
				t.Errorf("got %v; want %v", err, tc.want)
			}
			if got := len(f.lines("create_close")); got != tc.times {
				t.Errorf("got %d closes; want %d", got, tc.times)
			}
		})
	}
}

func TestCloseUploadOutlastsATrackerThatRestarts(t *testing.T) {
	f := newFake(t)
	f.on("create_close", func(net.Conn, string) bool {
		f.ln.Close()
		return false
	}, say("OK "))
	f.on("file_info", say(unknown))
	c := newClient(t, addrs(f))
	closed := make(chan error, 1)
	go func() { closed <- c.CloseUpload(context.Background(), closing) }()
	eventually(t, "first try", func() bool { return len(f.lines("create_close")) == 1 })
	f.restart()
	if err := <-closed; err != nil {
		t.Errorf("got %v; want the upload closed", err)
	}
}

func TestCloseUploadIsGivenUpWithItsCaller(t *testing.T) {
	f := newFake(t)
	f.on("create_close", hangUp, say("ERR no_temp_file x"))
	ctx, cancel := context.WithCancel(t.Context())
	f.on("file_info", say(unknown), func(conn net.Conn, line string) bool {
		cancel()
		return say(unknown)(conn, line)
	})
	c := newClient(t, addrs(f))
	if err := c.CloseUpload(ctx, closing); !errors.Is(err, client.ErrLost) {
		t.Errorf("got %v; want %v", err, client.ErrLost)
	}
	if n := len(f.lines("file_info")); n != 2 {
		t.Errorf("got %d looks; want none after the caller has gone", n)
	}
}

func TestAbandoningTwiceDoesNoHarm(t *testing.T) {
	for name, moves := range map[string][]move{
		"answer lost":    {hangUp, say("ERR no_temp_file x")},
		"closed already": {say("ERR no_temp_file x")},
		"done":           {say("OK ")},
	} {
		f := newFake(t)
		f.on("create_close", moves...)
		c := newClient(t, addrs(f))
		if err := c.AbandonUpload(t.Context(), closing); err != nil {
			t.Errorf("%s: got %v; want no error", name, err)
		}
	}
	f := newFake(t)
	f.on("create_close", say("ERR bogus_args bogus_args"))
	c := newClient(t, addrs(f))
	if err := c.AbandonUpload(t.Context(), closing); !errors.Is(err, protocol.BogusArgs) {
		t.Errorf("got %v; want %v", err, protocol.BogusArgs)
	}
}

// several is the closing of an upload with two copies.
var several = client.Closing{
	Domain: "images", Key: "k", FID: 7, Size: 5,
	Copy: mogile.Copy{Dev: 1, URL: url1}, Others: []mogile.Copy{{Dev: 2, URL: url2}},
}

const severalArgs = "&copies=2&devid_2=2&path_2=" + url2

func TestSeveralCopiesAreClosedWithACommandOfTheirOwn(t *testing.T) {
	f := newFake(t)
	f.on("create_open", say("OK fid=7&copies=2&dev_count=2&devid_1=1&path_1="+url1+"&devid_2=2&path_2="+url2))
	c := newClient(t, addrs(f))
	opened, err := c.OpenUpload(t.Context(), client.Upload{Domain: "images", Key: "k", Copies: 2})
	if err != nil || opened.Copies != 2 {
		t.Fatalf("got %+v, %v; want two copies", opened, err)
	}
	for _, err := range []error{c.CloseUpload(t.Context(), several), c.AbandonUpload(t.Context(), several)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantHeard(t, f,
		"create_open domain=images&key=k&multi_dest=1&copies=2",
		"create_close_copies domain=images&key=k&fid=7&devid=1&path="+url1+severalArgs+"&size=5",
		"create_close_copies domain=images&key=&fid=7&devid=1&path="+url1+severalArgs,
	)
}

// TestAnOldTrackerThatKnowsOneCopyHasDoneNothing: unless another one may have done it, whose
// answer was lost.
func TestAnOldTrackerThatKnowsOneCopyHasDoneNothing(t *testing.T) {
	old, ours := newFake(t), newFake(t)
	old.on("create_open", say("OK fid=7&dev_count=1&devid_1=1&path_1="+url1))
	old.on("create_close_copies", say("ERR unknown_command Unknown+server+command"))
	old.on("file_info", say("ERR unknown_key unknown_key"))
	c := newClient(t, addrs(old))
	opened, err := c.OpenUpload(t.Context(), client.Upload{Domain: "images", Key: "k", Copies: 2})
	if err != nil || opened.Copies != 1 {
		t.Fatalf("got %+v, %v; want one copy", opened, err)
	}
	if err := c.CloseUpload(t.Context(), several); !errors.Is(err, protocol.UnknownCommand) {
		t.Errorf("close: got %v; want that the command is unknown", err)
	}
	if err := c.AbandonUpload(t.Context(), several); err != nil {
		t.Errorf("abandon: got %v; want it left to the sweep", err)
	}
	ours.on("create_close_copies", func(net.Conn, string) bool { return false })
	both := newClient(t, addrs(ours, old))
	if err := both.CloseUpload(t.Context(), several); !errors.Is(err, client.ErrLost) {
		t.Errorf("close at ours, and then at the other: got %v; want the answer lost", err)
	}
}

func TestAFidIsLocatedByItsKey(t *testing.T) {
	f := newFake(t)
	f.on("list_fids", say("OK fid_count=1&fid_1_fid=7&fid_1_domain=images&fid_1_key=a+b&fid_1_length=5"))
	f.on("get_paths", say("OK paths=1&path1="+url1))
	f.on("file_info", say(info7))
	c := newClient(t, addrs(f))
	loc, err := c.LocateFID(t.Context(), "images", 7, client.MainZone)
	if err != nil || loc.FID != 7 || loc.Length != 5 || len(loc.Copies) != 1 {
		t.Fatalf("got %+v, %v; want fid 7 with its copy", loc, err)
	}
	if got := f.lines("list_fids"); len(got) != 1 || got[0] != "list_fids from=6&to=1" {
		t.Errorf("got %q; want the fid after 6", got)
	}
	for _, tc := range []struct {
		domain mogile.DomainName
		fid    mogile.FID
	}{{"other", 7}, {"images", 6}, {"images", 0}} {
		if _, err := c.LocateFID(t.Context(), tc.domain, tc.fid, client.MainZone); !errors.Is(err, protocol.UnknownKey) {
			t.Errorf("fid %d of %s: got %v; want it unknown", tc.fid, tc.domain, err)
		}
	}
	f.on("get_paths", say("OK paths=1&path1="+later)) // overwritten meanwhile
	f.on("file_info", say(info8))
	if _, err := c.LocateFID(t.Context(), "images", 7, client.MainZone); !errors.Is(err, protocol.UnknownKey) {
		t.Errorf("overwritten: got %v; want it unknown", err)
	}
}
