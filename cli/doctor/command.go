package doctor

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
)

// defaultSide is where side channels are looked for.
const defaultSide = "7501"

// Command is the command. read turns configurations into plans; nil means that none can be
// looked at.
func Command(read Reader) *frame.Command {
	return &frame.Command{
		Name: "doctor", Short: "Check a configuration and a running cluster, and say what to do",
		Run: func(ctx context.Context, c *frame.Call) error { return run(ctx, c, read) },
		Long: "--config= names a Caddyfile, or a JSON configuration, of this machine: what it says, its database and\n" +
			"its device directories are checked. Run it as the user of the service, whose rights are what counts.\n" +
			"--trackers= names a running cluster, which is checked from here; it is also checked when there is no --config=.\n" +
			"The exit code is 0 when all is well, 1 with warnings, and 2 when something fails.",
		Options: []frame.Option{
			{Name: "config", Value: "file", Help: "a Caddyfile or a JSON configuration of Caddy's"},
			{Name: "adapter", Value: "name", Help: "how to read it; caddyfile by default, none for JSON"},
			{Name: "management", Value: "port", Help: "where the nodes' side channels are; 7501 by default"},
		},
		OwnConfig: true, FailureExit: 2,
	}
}

func run(ctx context.Context, c *frame.Call, read Reader) error {
	var all report
	if c.Given("config") {
		if read == nil {
			return errors.New("this program can't read configurations")
		}
		plan, err := read(ctx, c.Option("config"), c.Option("adapter"))
		if err != nil {
			return err
		}
		all = planned(ctx, plan)
	}
	if c.Given("trackers") || !c.Given("config") {
		side := c.Option("management")
		if side == "" {
			side = defaultSide
		}
		if _, err := strconv.ParseUint(side, 10, 16); err != nil {
			return frame.Fail("", errors.New("management "+side+": want a port"), "")
		}
		found, err := gather(ctx, c, side)
		if err != nil {
			return err
		}
		all = append(all, judge(found)...)
	}
	if err := show(c, all); err != nil {
		return err
	}
	if code := all.worst(); code > 0 {
		return &frame.Failure{Exit: code} // it has been said above
	}
	return nil
}

// result is what --json writes.
type result struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
}

func show(c *frame.Call, all report) error {
	return c.Show(frame.Listing{
		JSON: result{OK: all.worst() == 0, Findings: all},
		Plain: func(w io.Writer) {
			for _, f := range all {
				f.write(w, c.Paint())
			}
		},
	})
}
