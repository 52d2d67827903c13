package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// FileName says which file is meant: a key of a domain, or a fid.
type FileName struct {
	Domain mogile.DomainName
	Key    mogile.Key
	FID    string
}

// File is all that is known of a file.
type File struct {
	// FID is the content's number. The other names are empty when no key has it (any
	// more).
	FID      mogile.FID        `json:"fid"`
	Domain   mogile.DomainName `json:"domain"`
	Key      mogile.Key        `json:"key"`
	Class    mogile.ClassName  `json:"class"`
	Length   int64             `json:"length"`
	DevCount int64             `json:"devcount"`
	// MinDevCount is how many copies the class wants; 0 when there is no such class.
	MinDevCount int    `json:"mindevcount"`
	Checksum    string `json:"checksum"`
	Copies      []Copy `json:"copies"`
	// Rows is what else the tables have of the fid, by their names in file_debug.
	Rows map[string]map[string]string `json:"rows"`
	// Troubles is what is wrong; none when all is well.
	Troubles []string `json:"troubles"`
}

// Copy is a copy, looked at just now.
type Copy struct {
	Device   mogile.DevID    `json:"devid"`
	Host     mogile.HostName `json:"hostname"`
	Status   mogile.DevState `json:"status"`
	Observed string          `json:"observed_state"`
	URL      string          `json:"url"`
	// Length is what its node says; null when it does not.
	Length *int64 `json:"length"`
	OK     bool   `json:"ok"`
	// Trouble is why it is not OK.
	Trouble string `json:"trouble,omitempty"`
}

const (
	// checksAtOnce is how many nodes are asked at a time.
	checksAtOnce = 16
	// checkTime bounds the look at all copies of a file.
	checkTime = 10 * time.Second
	// missing is what file_debug says of a file without checksum.
	missing = "NONE"
)

// File looks a file up, and at every copy of it.
func (c *Console) File(ctx context.Context, name FileName) (File, error) {
	f, err := c.file(ctx, name)
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i := range f.Copies {
		group.Go(func() error { c.check(ctx, &f.Copies[i], f); return nil })
	}
	_ = group.Wait() // they return none
	f.judge()
	return f, nil
}

// file is what the tracker knows.
func (c *Console) file(ctx context.Context, name FileName) (File, error) {
	v, err := c.debug(ctx, name)
	if err != nil {
		return File{}, err
	}
	t, err := c.Topology(ctx)
	if err != nil {
		return File{}, err
	}
	f := File{
		FID: mogile.FID(protocol.Num(v["fid_fid"])), Domain: mogile.DomainName(v["fid_domain"]), Key: mogile.Key(v["fid_dkey"]),
		Class: mogile.ClassName(v["fid_class"]), Length: protocol.Num(v["fid_length"]), DevCount: protocol.Num(v["fid_devcount"]),
		Checksum: v["checksum"], Copies: []Copy{}, Rows: rows(v), Troubles: []string{},
	}
	if f.FID == 0 {
		f.FID = mogile.FID(protocol.Num(name.FID))
	}
	if cls, ok := t.class(f.Domain, f.Class); ok {
		f.MinDevCount = cls.MinDevCount
	}
	for _, word := range devices(v["devids"]) {
		dev := mogile.DevID(protocol.Num(word))
		one := Copy{Device: dev, Status: "unknown", URL: v["devpath_"+word]}
		if h, d, ok := t.at(dev); ok {
			one.Host, one.Status, one.Observed = h.Name, d.Status, d.Observed
		}
		f.Copies = append(f.Copies, one)
	}
	return f, nil
}

// debug asks the tracker for all rows of a file. One of which there is none is not found.
func (c *Console) debug(ctx context.Context, name FileName) (protocol.Values, error) {
	var args []string
	switch {
	case name.FID != "" && name.Key == "" && name.Domain == "":
		if _, err := mogile.ParseFID(name.FID); err != nil {
			return nil, &Error{http.StatusBadRequest, err}
		}
		args = []string{"fid", name.FID}
	case name.FID != "":
		return nil, refuse(http.StatusBadRequest, "give a domain and a key, or a fid, not both")
	case name.Key == "" || name.Domain == "":
		return nil, refuse(http.StatusBadRequest, "give a domain and a key, or a fid")
	default:
		args = []string{"domain", string(name.Domain), "key", string(name.Key)}
	}
	v, err := c.do(ctx, "file_debug", args...)
	if err != nil {
		return nil, err
	}
	if len(rows(v)) == 0 && v["fid_fid"] == "" && v["devids"] == "" {
		return nil, refuse(http.StatusNotFound, "fid %s has no rows: no key, upload or queue has it", name.FID)
	}
	return v, nil
}

// tables are those whose rows file_debug tells beside the file's own.
var tables = []string{"tempfile", "replqueue", "delqueue", "rebqueue", "fsckqueue"}

func rows(v protocol.Values) map[string]map[string]string {
	all := map[string]map[string]string{}
	for name, value := range v {
		table, column, ok := strings.Cut(name, "_")
		if !ok || !slices.Contains(tables, table) {
			continue
		}
		if all[table] == nil {
			all[table] = map[string]string{}
		}
		all[table][column] = value
	}
	return all
}

// check asks a copy's node for it.
func (c *Console) check(ctx context.Context, at *Copy, f File) {
	if at.URL == "" {
		at.Trouble = "its device or host is not known any more"
		return
	}
	n, found, err := c.nodes.Size(ctx, at.URL)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		at.Trouble = "its node did not answer in time"
	case err != nil:
		at.Trouble = err.Error()
	case !found:
		at.Trouble = "its node has no such file"
	default:
		at.Length = &n
		if f.Key != "" && n != f.Length {
			at.Trouble = "it has another length than the file"
			return
		}
		at.OK = true
	}
}

// judge says what is wrong with the file as a whole.
func (f *File) judge() {
	good := 0
	for _, at := range f.Copies {
		if at.OK {
			good++
		}
	}
	add := func(trouble string) { f.Troubles = append(f.Troubles, trouble) }
	switch {
	case f.Key == "" && f.Domain == "":
		add("No key has this content: it is an upload that is not finished, or it is being deleted.")
	case len(f.Copies) == 0:
		add("No copy is recorded. Check all files with fsck, which searches for one.")
	case good == 0:
		add("No copy can be read now. Bring back a device that has one.")
	case good < f.MinDevCount:
		add("There are fewer good copies than the class wants. replicate/now has it copied at once; fsck finds copies that are lost.")
	}
	if f.Checksum == missing {
		f.Checksum = ""
	}
}

// Keys is a part of a domain's keys, in order.
type Keys struct {
	Keys []mogile.Key `json:"keys"`
	// Next is what to ask for after them; empty when there are no more.
	Next mogile.Key `json:"next_after,omitempty"`
}

// maxKeys is how many keys one answer has.
const maxKeys = 100

// Keys lists keys that begin with prefix, after the given one.
func (c *Console) Keys(ctx context.Context, domain mogile.DomainName, prefix, after mogile.Key) (Keys, error) {
	if domain == "" {
		return Keys{}, refuse(http.StatusBadRequest, "domain is missing; topology lists them")
	}
	v, err := c.do(ctx, "list_keys", "domain", string(domain), "prefix", string(prefix), "after", string(after), "limit", strconv.Itoa(maxKeys))
	list := Keys{Keys: []mogile.Key{}}
	if errors.Is(err, protocol.NoneMatch) {
		return list, nil
	}
	if err != nil {
		return list, err
	}
	for i := 1; ; i++ {
		key, given := v["key_"+strconv.Itoa(i)]
		if !given {
			break
		}
		list.Keys = append(list.Keys, mogile.Key(key))
	}
	if len(list.Keys) == maxKeys {
		list.Next = list.Keys[maxKeys-1]
	}
	return list, nil
}
