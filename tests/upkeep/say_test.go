package upkeep

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// say gives an operator's line, which begins with a !, and returns its answer without the
// point that ends it.
func (r *rig) say(k *tracker, line string) string {
	r.t.Helper()
	conn, err := net.Dial("tcp", k.addr)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	var answer strings.Builder
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if lines.Text() == "." {
			return answer.String()
		}
		answer.WriteString(lines.Text() + "\n")
	}
	r.t.Fatalf("%s: got %q without an end", line, answer.String())
	return ""
}
