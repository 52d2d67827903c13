package files

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// entriesSearched is how many of the last entries in the log of checks are searched for a file:
// trackers tell a hundred at a time, whatever they are about.
const entriesSearched = 10_000

// checks is what fsck said of a file.
type checks struct {
	Entries []checkJSON `json:"checks,omitempty"`
	// Unknown is why the log could not be read; empty when it was.
	Unknown string `json:"checks_unknown,omitempty"`
}

// checkJSON is an entry of the log.
type checkJSON struct {
	Time  int64  `json:"time"`
	Event string `json:"event"`
	Dev   string `json:"devid,omitempty"`
}

// checksOf searches the log for a fid.
func checksOf(ctx context.Context, trackers *client.Client, fid string) (c checks) {
	status, err := trackers.Do(ctx, "fsck_status", protocol.Pairs{})
	if err != nil {
		return checks{Unknown: err.Error()}
	}
	for after := max(protocol.Num(status["max_logid"])-entriesSearched, 0); ; {
		var args protocol.Pairs
		args.Add("after_logid", strconv.FormatInt(after, 10))
		rows, err := trackers.Do(ctx, "fsck_getlog", args)
		if err != nil {
			return checks{c.Entries, err.Error()}
		}
		before := after
		for i := int64(1); i <= protocol.Num(rows["row_count"]); i++ {
			get := func(field string) string { return rows[fmt.Sprintf("row_%d_%s", i, field)] }
			if after = protocol.Num(get("logid")); get("fid") == fid {
				c.Entries = append(c.Entries, checkJSON{protocol.Num(get("utime")), get("evcode"), get("devid")})
			}
		}
		if after <= before {
			return c
		}
	}
}

// write says nothing when checks said nothing: scripts know the rest.
func (c checks) write(w io.Writer) {
	if c.Unknown != "" {
		fmt.Fprintf(w, "\nWhat checks said is not known: %s\n", c.Unknown)
	}
	if len(c.Entries) == 0 {
		return
	}
	fmt.Fprintf(w, "\nChecks said (the last %d entries of their log were searched)...\n", entriesSearched)
	for _, e := range c.Entries {
		on := ""
		if e.Dev != "" {
			on = " on dev" + e.Dev
		}
		fmt.Fprintf(w, "- %s: %s%s\n", time.Unix(e.Time, 0).UTC().Format(time.RFC3339), e.Event, on)
	}
}
