package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func rebalance() *frame.Command {
	return &frame.Command{Name: "rebalance", Short: "The move of files between devices", Sub: []*frame.Command{
		{Name: "start", Short: "Begin, or go on", Run: simple("Error starting rebalance", "Rebalance started.", "rebalance_start")},
		{Name: "stop", Short: "Stop; a start goes on from there", Run: simple("Error stopping rebalance", "Rebalance stopped.", "rebalance_stop")},
		{Name: "status", Short: "Tell how far it is", Run: rebalanceStatus},
		{Name: "test", Short: "Tell which devices the policy chooses", Run: rebalanceTest},
		{Name: "settings", Short: "List the settings of rebalance", Run: rebalanceSettings},
		{Name: "policy", Short: "Set what is moved where", Run: rebalancePolicy, Options: []frame.Option{
			{Name: "options", Value: "policy", Help: "such as \"from_percent_used=90 to_percent_free=50\"; empty to unset it"},
		}},
		{Name: "reset", Short: "Forget how far it was", Run: simple("Error resetting rebalance", "Rebalance reset.", "rebalance_reset")},
	}}
}

// The settings that rebalance is kept in.
const (
	rebalHost   = "rebal_host"
	rebalPolicy = "rebal_policy"
	rebalState  = "rebal_state"
)

// rebalanceJSON is how far a rebalance is, in JSON.
type rebalanceJSON struct {
	Running bool   `json:"running"`
	Host    string `json:"host,omitempty"`
	// State is what trackers go by, Progress what those of ours tell beside it.
	State    map[string]string `json:"state"`
	Progress map[string]string `json:"progress,omitempty"`
}

func rebalanceStatus(ctx context.Context, c *frame.Call) error {
	v, err := ask(ctx, c, "Error fetching rebalance status", "rebalance_status", protocol.Pairs{})
	if err != nil {
		return err
	}
	host, err := setting(ctx, c, rebalHost)
	if err != nil {
		return err
	}
	now := rebalanceJSON{Running: host != "", Host: host, State: stateOf(v["state"]), Progress: map[string]string{}}
	for key, value := range v {
		if key != "state" {
			now.Progress[key] = value
		}
	}
	write := func(w io.Writer, more bool) {
		word := "stopped"
		if now.Running {
			word = "running"
		}
		fmt.Fprintf(w, "Rebalance is %s\nRebalance status:\n%s", word, settingLines(now.State))
		if more && len(now.Progress) > 0 {
			fmt.Fprintf(w, "Progress:\n%s", settingLines(now.Progress))
		}
	}
	if c.OutTerminal && !c.Given("json") {
		write(c.Stdout, true)
		return nil
	}
	return c.Show(frame.Listing{JSON: now, Plain: func(w io.Writer) { write(w, false) }})
}

// stateOf reads a state: name=value, with blanks between.
func stateOf(s string) map[string]string {
	state := map[string]string{}
	for _, pair := range strings.Fields(s) {
		name, value, _ := strings.Cut(pair, "=")
		state[name] = value
	}
	return state
}

// testJSON is what a policy chooses, in JSON.
type testJSON struct {
	Policy       string   `json:"policy"`
	Sources      []string `json:"source_devices"`
	Destinations []string `json:"destination_devices"`
}

func rebalanceTest(ctx context.Context, c *frame.Call) error {
	v, err := ask(ctx, c, "Error testing rebalance", "rebalance_test", protocol.Pairs{})
	if err != nil {
		return err
	}
	policy, err := setting(ctx, c, rebalPolicy)
	if err != nil {
		return err
	}
	chosen := testJSON{policy, devids(v["sdevs"]), devids(v["ddevs"])}
	return c.Show(frame.Listing{JSON: chosen, Plain: func(w io.Writer) {
		fmt.Fprintf(w, "Tested rebalance policy...\nPolicy: %s\nSource devices:\n", policy)
		for _, dev := range chosen.Sources {
			fmt.Fprintf(w, " - %s\n", dev)
		}
		fmt.Fprintln(w, "Destination devices:")
		for _, dev := range chosen.Destinations {
			fmt.Fprintf(w, " - %s\n", dev)
		}
	}})
}

// devids splits a list that may have empty elements.
func devids(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(dev string) bool { return dev == "" })
}

func rebalanceSettings(ctx context.Context, c *frame.Call) error {
	values, err := allSettings(ctx, c, func(key string) bool { return strings.HasPrefix(key, "rebal_") && key != rebalState })
	if err != nil {
		return err
	}
	return showSettings(c, values)
}

func rebalancePolicy(ctx context.Context, c *frame.Call) error {
	if !c.Given("options") {
		return errors.New("no policy: give it with --options=, an empty one to unset it")
	}
	var args protocol.Pairs
	if policy := c.Option("options"); policy != "" {
		args.Add("policy", policy)
	}
	return change(ctx, c, "Error setting rebalance policy", "Rebalance policy set.", "rebalance_set_policy", args)
}
