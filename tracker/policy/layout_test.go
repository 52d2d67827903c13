package policy_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
)

// layout reads a cluster with one file as a person writes it:
//
//	min=2 h1[d1=X d2=_] h2=down[d3=X,drain d4=_,failed] h3@near[d5=_] h4@10.1[d6=_]
//
// X is a copy, _ none. After it may stand a device state, "failed" for a device that
// just failed as a destination, or "full" for one that takes no more. No device of a
// host that is down takes new files. After @ stands the zone of a host; with digits it
// is only a network without a name. Hosts without either share a network.
func layout(t *testing.T, text string) policy.Facts {
	t.Helper()
	var f policy.Facts
	var host mogile.HostID
	down, network := false, ""
	for _, word := range strings.Fields(strings.NewReplacer("[", " [ ", "]", " ] ").Replace(text)) {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case word == "[" || word == "]":
		case name == "min":
			f.Min = number(t, value)
		case strings.HasPrefix(name, "h"):
			name, network, _ = strings.Cut(name, "@")
			host, down = mogile.HostID(number(t, name[1:])), value == "down"
		case strings.HasPrefix(name, "d"):
			d, holds := device(t, name, value)
			d.Host, d.Network, d.TakesNewFiles = host, network, d.TakesNewFiles && !down
			if strings.Trim(network, "0123456789.") != "" {
				d.Zone = network
			}
			f.Candidates = append(f.Candidates, d)
			if holds {
				f.Copies = append(f.Copies, d)
			}
		default:
			t.Fatalf("layout %q: what is %q?", text, word)
		}
	}
	return f
}

func device(t *testing.T, name, value string) (d policy.Device, holds bool) {
	t.Helper()
	mark, more, _ := strings.Cut(value, ",")
	d = policy.Device{ID: mogile.DevID(number(t, name[1:])), State: mogile.DevAlive}
	full := false
	switch more {
	case "":
	case "failed":
		d.Failed = true
	case "full":
		full = true
	default:
		state, err := mogile.ParseDevState(more)
		if err != nil {
			t.Fatal(err)
		}
		d.State = state
	}
	d.TakesNewFiles = d.State.TakesNewFiles() && !full
	return d, mark == "X"
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// say writes an answer down: all_good, too_good, temp_fail, or the lists that are not
// empty, as in ideal(3,4) desperate(2).
func say(a policy.Answer) string {
	switch a.Verdict {
	case policy.AllGood:
		return "all_good"
	case policy.TooGood:
		return "too_good"
	case policy.TempFail:
		return "temp_fail"
	}
	var parts []string
	for _, list := range []struct {
		name string
		devs []mogile.DevID
	}{{"ideal", a.Ideal}, {"desperate", a.Desperate}} {
		if len(list.devs) > 0 {
			parts = append(parts, list.name+ids(list.devs))
		}
	}
	return strings.Join(parts, " ")
}

func ids(devs []mogile.DevID) string {
	return "(" + strings.ReplaceAll(strings.Trim(fmt.Sprint(devs), "[]"), " ", ",") + ")"
}
