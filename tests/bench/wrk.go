package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	perSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	quantiles = regexp.MustCompile(`(?m)^\s+([0-9]+)%\s+([0-9.]+)(us|ms|s|m)$`)
)

// wrk gets one URL over and over on so many connections, with more headers when they
// are given.
func wrk(connections int, url string, headers ...string) func(context.Context, time.Duration) (result, error) {
	args := []string{"-t1", "-c" + strconv.Itoa(connections), "--latency"}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	return func(ctx context.Context, d time.Duration) (result, error) {
		out, err := exec.CommandContext(ctx, "wrk", append(args, wholeSeconds(d), url)...).CombinedOutput()
		if err != nil {
			return result{}, fmt.Errorf("wrk: %w: %s", err, out)
		}
		got, err := readWrk(string(out))
		if err != nil {
			return result{}, fmt.Errorf("wrk %s: %w: %s", url, err, out)
		}
		return got, nil
	}
}

// wholeSeconds is the option of wrk that says how long, which knows no shorter unit.
func wholeSeconds(d time.Duration) string {
	return "-d" + strconv.Itoa(int(math.Ceil(d.Seconds())))
}

func readWrk(out string) (r result, err error) {
	m := perSecond.FindStringSubmatch(out)
	if m == nil || strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		return r, errors.New("not all requests were answered well")
	}
	if r.perSecond, err = strconv.ParseFloat(m[1], 64); err != nil {
		return r, err
	}
	for _, q := range quantiles.FindAllStringSubmatch(out, -1) {
		d, err := time.ParseDuration(q[2] + q[3])
		if err != nil {
			return r, err
		}
		switch q[1] {
		case "50":
			r.p50 = d
		case "99":
			r.p99 = d
		}
	}
	return r, nil
}
