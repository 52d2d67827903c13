package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Commands are mogadm's, in its order.
func Commands() []*frame.Command {
	return []*frame.Command{
		{
			Name: "check", Short: "Check that trackers, hosts and devices answer", Run: check,
			Long: "The exit code is 0 when all that should answer does, and 1 otherwise. Hosts that are down\n" +
				"or dead, and dead devices, need not answer.",
		},
		host(), device(), domain(), class(), slave(), fsck(), rebalance(), settings(),
	}
}

// ask has a tracker carry out a command; doing begins the error.
func ask(ctx context.Context, c *frame.Call, doing, command string, args protocol.Pairs) (protocol.Values, error) {
	trackers, err := c.Trackers()
	if err != nil {
		return nil, err
	}
	values, err := trackers.Do(ctx, command, args)
	if err != nil {
		return nil, frame.Fail(doing, err, "%s", advice(c, err))
	}
	return values, nil
}

// change is ask for a command whose answer tells nothing: done is said of it.
func change(ctx context.Context, c *frame.Call, doing, done, command string, args protocol.Pairs) error {
	if _, err := ask(ctx, c, doing, command, args); err != nil {
		return err
	}
	c.Done("%s", done)
	return nil
}

// pairs makes arguments of names and values; those with an empty name are left out.
func pairs(namesAndValues ...string) protocol.Pairs {
	var args protocol.Pairs
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i] != "" {
			args.Add(namesAndValues[i], namesAndValues[i+1])
		}
	}
	return args
}

// given adds the options that were given, each under the name that the tracker has for it.
func given(c *frame.Call, args *protocol.Pairs, optionsAndNames ...string) {
	for i := 0; i < len(optionsAndNames); i += 2 {
		if c.Given(optionsAndNames[i]) {
			args.Add(optionsAndNames[i+1], c.Option(optionsAndNames[i]))
		}
	}
}

// advice is the next step after a tracker's refusal.
func advice(c *frame.Call, err error) string {
	for code, words := range map[protocol.Code]string{
		protocol.DomainNotFound:     "there is no such domain; see %s",
		protocol.ClassNotFound:      "the domain has no such class; see %s",
		protocol.HostNotFound:       "there is no such host; see %s",
		protocol.UnknownHost:        "there is no such host; see %s",
		protocol.HostExists:         "see %s, or change it with host modify",
		protocol.DomainExists:       "see %s",
		protocol.ClassExists:        "see %s, or change it with class modify",
		protocol.NoDevice:           "there is no such device; see %s",
		protocol.HostMismatch:       "the device is on another host; see %s",
		protocol.ExistingDevID:      "devids are never used twice; a free one is told by %s",
		protocol.HostNotEmpty:       "devices keep their host for ever, dead ones too; mark it dead with %s",
		protocol.StateTooHigh:       "a dead device is taken to be empty, its files to be lost; mark it down first with %s",
		protocol.DomainHasFiles:     "delete its files first; %s",
		protocol.ClassHasFiles:      "give its files another class, or delete them",
		protocol.DomainHasClasses:   "delete its classes first; see %s",
		protocol.FsckRunning:        "see %s, or stop it with fsck stop",
		protocol.RebalRunning:       "see %s, or stop it with rebalance stop",
		protocol.NoSetRebal:         "stop it with %s",
		protocol.NoRebalPolicy:      "set one with %s",
		protocol.NoRebalState:       "none has begun; begin one with %s",
		protocol.NotWritable:        "it is the trackers' own; see docs/cli.md for those that can be set",
		protocol.Dup:                "another host has that address or name; see %s",
		protocol.UnknownState:       "hosts are alive, readonly, down or dead",
		protocol.InvalidState:       "devices are alive, readonly, drain, down or dead",
		protocol.BadParams:          "devices are named by host, devid and one of alive, readonly, drain, down and dead",
		protocol.NoDelDefaultClass:  "it goes with its domain; change it with %s",
		protocol.InvalidMinDevCount: "give it with --mindevcount=",
		protocol.InvalidPolicy:      "see the policies in docs/tracker.md",
		protocol.RebalNotStarted:    "see %s",
		protocol.BadRebalPolicy:     "see the settings in docs/jobs/rebalance.md",
		protocol.InvalidFormat:      "see the values in docs/cli.md",
		protocol.InvalidHashType:    "there are MD5, SHA-1 and NONE",
	} {
		if errors.Is(err, code) {
			if !strings.Contains(words, "%s") {
				return words
			}
			return fmt.Sprintf(words, c.Line(help[code]))
		}
	}
	return ""
}

// help is the command that helps on after a refusal.
var help = map[protocol.Code]string{
	protocol.DomainExists: "domain list", protocol.ClassExists: "class list", protocol.HostExists: "host list",
	protocol.NoDelDefaultClass: "class modify <domain> default", protocol.RebalNotStarted: "rebalance status",
	protocol.DomainNotFound: "domain list", protocol.ClassNotFound: "class list",
	protocol.HostNotFound: "host list", protocol.UnknownHost: "host list", protocol.Dup: "host list",
	protocol.NoDevice: "device list --all", protocol.HostMismatch: "device list --all",
	protocol.ExistingDevID: "device next", protocol.HostNotEmpty: "host mark <hostname> dead",
	protocol.StateTooHigh: "device mark <hostname> <devid> down", protocol.DomainHasFiles: "ls --domain=<domain>",
	protocol.DomainHasClasses: "class list", protocol.FsckRunning: "fsck status",
	protocol.RebalRunning: "rebalance status", protocol.NoSetRebal: "rebalance stop",
	protocol.NoRebalPolicy: "rebalance policy --options=<policy>", protocol.NoRebalState: "rebalance start",
}

// devid reads 5 and dev5.
func devid(c *frame.Call) (string, error) {
	word := c.Arg("devid")
	dev, err := mogile.ParseDevID(strings.TrimPrefix(word, "dev"))
	if err != nil {
		return "", fmt.Errorf("devid %q: want a number such as 5, or dev5", word)
	}
	return dev.String(), nil
}

// settingLines are settings as mogadm writes them, sorted.
func settingLines(values map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%25s = %s\n", key, values[key])
	}
	return b.String()
}

// numbered are the values that a tracker numbers from 1 to count.
func numbered(v protocol.Values, count string, prefix, suffix string) []string {
	var all []string
	for i := int64(1); i <= protocol.Num(v[count]); i++ {
		value, ok := v[prefix+strconv.FormatInt(i, 10)+suffix]
		if !ok {
			break
		}
		all = append(all, value)
	}
	return all
}
