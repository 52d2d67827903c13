package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Upload says what is going to be uploaded.
type Upload struct {
	Domain mogile.DomainName
	// Key is informative and may be empty; what counts is the key at CloseUpload.
	Key mogile.Key
	// Class may be empty: the domain's default.
	Class mogile.ClassName
	// Size is how many bytes the devices must have room for; 0 means unknown.
	Size int64
	Zone Zone
	// Copies is how many destinations are to get the bytes before CloseUpload; 0 means 1.
	Copies int
}

// Opened is an upload that was begun.
type Opened struct {
	FID mogile.FID
	// Destinations has at least one place for the bytes, the best first.
	Destinations []mogile.Copy
	// Copies is how many of them CloseUpload can record: as many as were wanted, or 1 with
	// trackers of MogileFS, which know no more. There may be fewer Destinations.
	Copies int
}

// OpenUpload begins an upload: the bytes go to one of the destinations with an HTTP
// PUT, and nothing is visible until CloseUpload. An upload that is not closed within an
// hour is swept away by the tracker.
func (c *Client) OpenUpload(ctx context.Context, u Upload) (Opened, error) {
	args := fileArgs(u.Domain, u.Key)
	if u.Class != "" {
		args.Add("class", string(u.Class))
	}
	if u.Size > 0 {
		args.AddInt("size", u.Size)
	}
	args.AddInt("multi_dest", 1)
	if u.Copies > 1 {
		args.AddInt("copies", int64(u.Copies))
	}
	addZone(&args, u.Zone)
	values, err := c.Do(ctx, "create_open", args)
	if err != nil {
		return Opened{}, err
	}
	opened, err := parseOpened(values)
	if err != nil {
		return Opened{}, fmt.Errorf("create_open: %w", err)
	}
	return opened, nil
}

// parseOpened reads both styles: a tracker may not know of several destinations.
func parseOpened(v protocol.Values) (Opened, error) {
	fid, err := mogile.ParseFID(v["fid"])
	if err != nil {
		return Opened{}, err
	}
	o := Opened{FID: fid, Copies: max(1, int(min(protocol.Num(v["copies"]), maxDestinations)))}
	suffixes := []string{""}
	if v["dev_count"] != "" {
		n, err := number(v, "dev_count")
		if err != nil {
			return Opened{}, err
		}
		suffixes = numbered(n)
	}
	for _, suffix := range suffixes {
		at, of, err := parseURL(v["path"+suffix])
		switch {
		case err != nil:
			return Opened{}, err
		case of != fid || v["devid"+suffix] != at.Dev.String():
			return Opened{}, fmt.Errorf("fid %d on device %q is to be put to %s", fid, v["devid"+suffix], at.URL)
		}
		o.Destinations = append(o.Destinations, at)
	}
	if len(o.Destinations) == 0 {
		return Opened{}, errors.New("the tracker names no destination")
	}
	return o, nil
}

// maxDestinations is more than trackers offer (docs/spec/tracker-protocol.md §6.1).
const maxDestinations = 16

// numbered is _1, _2 and so on.
func numbered(n int64) []string {
	var s []string
	for i := range min(n, maxDestinations) {
		s = append(s, "_"+strconv.FormatInt(i+1, 10))
	}
	return s
}

// Closing says what was uploaded, and under which key it is to be found.
type Closing struct {
	Domain mogile.DomainName
	Key    mogile.Key
	FID    mogile.FID
	// Copy is the destination that took the bytes, exactly as OpenUpload named it.
	Copy mogile.Copy
	// Others are more destinations that took the bytes.
	Others []mogile.Copy
	// Size is how many bytes there should be; -1 means unknown. Trackers do not compare 0.
	Size int64
	// Checksum may be zero. A tracker keeps it if the class keeps such checksums.
	Checksum mogile.Checksum
	// Verify has the tracker compare Checksum with the stored bytes.
	Verify bool
	// Zone must be the one of OpenUpload.
	Zone Zone
}

// How long CloseUpload tries to find out what became of an upload.
const (
	firstLook = 100 * time.Millisecond
	// looks makes 3.1 s in all, with pauses that double: more than the 2 s that a
	// tracker waits for the node between taking the upload and showing the file.
	looks = 5
)

// CloseUpload makes an upload the content of its key.
//
// An upload can be closed once; the second time the answer is no_temp_file, whatever
// the first one came to. So, when the answer was lost:
//
// Order: 1 create_close; 2 look at the key: our fid is success; 3 create_close again,
// where possible at another tracker: its answer counts, as the first one has not happened
// and will find nothing left; 4 unless it is no_temp_file, or lost too: then the first
// one is being carried out or has ended, so go on looking at the key for a while. While no
// tracker can be reached, 2 and 3 are repeated. In the end nobody knows: the upload may
// have been refused, or have been replaced already.
//
// With Others, a tracker that would record Copy alone answers unknown_command, and has done
// nothing. After the lost answer of another that says nothing.
func (c *Client) CloseUpload(ctx context.Context, a Closing) error {
	err := c.closeOnce(ctx, a)
	if !inDoubt(err) {
		return err
	}
	again := ErrUnreachable
	for i := range looks + 1 {
		if i > 0 && !pause(ctx, firstLook<<(i-1)) {
			break
		}
		if c.has(ctx, a.Domain, a.Key, a.FID) {
			return nil
		}
		if errors.Is(again, ErrUnreachable) {
			again = c.closeOnce(ctx, a)
		}
		if !errors.Is(again, ErrUnreachable) && !errors.Is(again, ErrLost) &&
			!errors.Is(again, protocol.NoTempFile) && !errors.Is(again, protocol.UnknownCommand) {
			return again
		}
	}
	return err
}

// pause reports whether ctx let it last.
func pause(ctx context.Context, d time.Duration) bool {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) closeOnce(ctx context.Context, a Closing) error {
	command := "create_close"
	if len(a.Others) > 0 {
		command = "create_close_copies"
	}
	_, err := c.Do(ctx, command, a.args())
	return err
}

func (a Closing) args() protocol.Pairs {
	args := fileArgs(a.Domain, a.Key)
	args.Add("fid", a.FID.String())
	args.Add("devid", a.Copy.Dev.String())
	args.Add("path", a.Copy.URL)
	if len(a.Others) > 0 {
		args.AddInt("copies", int64(1+len(a.Others)))
	}
	for i, at := range a.Others {
		n := strconv.Itoa(i + 2)
		args.Add("devid_"+n, at.Dev.String())
		args.Add("path_"+n, at.URL)
	}
	if a.Size >= 0 {
		args.AddInt("size", a.Size)
	}
	if !a.Checksum.IsZero() {
		args.Add("checksum", a.Checksum.String())
	}
	if a.Verify {
		args.AddInt("checksumverify", 1)
	}
	addZone(&args, a.Zone)
	return args
}

// AbandonUpload gives an upload up, so that the tracker has removed what may lie at
// a's Copy and Others. A tracker that knows of no Others is left to sweep all of them away
// in an hour. An upload that is closed, or was given up, is left alone, so it does no harm
// to call it twice, or after a CloseUpload whose outcome nobody knows.
func (c *Client) AbandonUpload(ctx context.Context, a Closing) error {
	a.Key, a.Size, a.Checksum, a.Verify = "", -1, mogile.Checksum{}, false // no key: abandon
	err := c.closeOnce(ctx, a)
	if errors.Is(err, ErrLost) {
		err = c.closeOnce(ctx, a)
	}
	if errors.Is(err, protocol.NoTempFile) || errors.Is(err, protocol.UnknownCommand) {
		return nil
	}
	return err
}
