package packaging

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../../packaging/"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// stage is what follows a FROM.
type stage struct {
	image        string
	instructions []instruction
}

type instruction struct{ word, rest string }

func stages(t *testing.T, text string) []stage {
	t.Helper()
	var found []stage
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case word == "FROM":
			found = append(found, stage{image: strings.TrimSpace(rest)})
		case len(found) == 0:
			t.Fatalf("%s stands before FROM", line)
		default:
			last := &found[len(found)-1]
			last.instructions = append(last.instructions, instruction{word, strings.TrimSpace(rest)})
		}
	}
	return found
}

func (s stage) all(word string) []string {
	var found []string
	for _, i := range s.instructions {
		if i.word == word {
			found = append(found, i.rest)
		}
	}
	return found
}

func TestTheImageIsStaticAndNotRoot(t *testing.T) {
	all := stages(t, read(t, "docker/Dockerfile"))
	if len(all) != 2 {
		t.Fatalf("got %d stages; want one that builds and one that runs", len(all))
	}
	build, run := all[0], all[1]
	if !strings.Contains(strings.Join(build.all("RUN"), "\n"), "CGO_ENABLED=0 go build -trimpath -buildvcs=false") {
		t.Error("the build is not static and reproducible")
	}
	if run.image != "scratch" || len(run.all("RUN")) > 0 {
		t.Errorf("got the image %s with %v; want scratch, where nothing can be run", run.image, run.all("RUN"))
	}
	if user := strings.Join(run.all("USER"), " "); user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("got user %q; want one that is not root", user)
	}
	for _, word := range []string{"HEALTHCHECK", "ENTRYPOINT", "CMD"} {
		if found := run.all(word); len(found) != 1 || !strings.Contains(found[0], `["`) {
			t.Errorf("%s: got %q; want one, without a shell", word, found)
		}
	}
	for _, from := range run.all("COPY") {
		if file := strings.Fields(from)[0]; !strings.HasPrefix(file, "--") {
			if _, err := os.Stat(filepath.Join(root, "..", file)); err != nil {
				t.Errorf("COPY %s: %v", from, err)
			}
		}
	}
	goMod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(goMod))[1]
	if !strings.HasPrefix(build.image, "golang:"+version) {
		t.Errorf("got %s; want the Go of go.mod, %s", build.image, version)
	}
}

// compose is what is looked at of a compose file.
type compose struct {
	Services map[string]struct {
		Image       string
		Build       struct{ Context, Dockerfile string }
		User        string
		ReadOnly    bool `yaml:"read_only"`
		Environment map[string]string
		Volumes     []string
		Ports       []string
		Secrets     []string
		Networks    map[string]struct {
			Address string `yaml:"ipv4_address"`
		}
		DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
		Health    struct{ Test []string }               `yaml:"healthcheck"`
	}
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]any
	Secrets map[string]any
}

func TestTheComposeFileFitsTogether(t *testing.T) {
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, "compose/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 4 {
		t.Errorf("got %d services; want three nodes and a database", len(c.Services))
	}
	seen := map[string]string{}
	once := func(service, value string) {
		if other := seen[value]; value != "" && other != "" {
			t.Errorf("%s and %s both have %s", other, service, value)
		}
		seen[value] = service
	}
	for name, s := range c.Services {
		if (s.Image == "") == (s.Build.Dockerfile == "") {
			t.Errorf("%s: want an image or a build", name)
		}
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join(root, "compose", s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !s.ReadOnly || s.Networks["cluster"].Address != s.Environment["NODE_IP"] {
				t.Errorf("%s: want it read-only, at the address that it is told: %+v", name, s)
			}
		}
		for _, variable := range []string{"NODE_IP", "NODE_NAME", "NODE_DEVICES"} {
			once(name, variable+" "+s.Environment[variable])
		}
		for network, at := range s.Networks {
			addr, err := netip.ParseAddr(at.Address)
			if err != nil || len(c.Networks[network].IPAM.Config) != 1 || !netip.MustParsePrefix(c.Networks[network].IPAM.Config[0].Subnet).Contains(addr) {
				t.Errorf("%s: %s is not in the network %s", name, at.Address, network)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, "./") {
				if _, err := os.Stat(filepath.Join(root, "compose", from)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if _, ok := c.Volumes[from]; !ok {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: %s is open to others", name, p)
			}
			once(name, p)
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
		for other, d := range s.DependsOn {
			if d.Condition == "service_healthy" && len(c.Services[other].Health.Test) == 0 {
				t.Errorf("%s waits for %s to be healthy, which nobody checks", name, other)
			}
		}
	}
	for _, variable := range regexp.MustCompile(`\{\$(\w+)`).FindAllStringSubmatch(read(t, "compose/Caddyfile"), -1) {
		if c.Services["node1"].Environment[variable[1]] == "" {
			t.Errorf("the Caddyfile wants %s, which nobody sets", variable[1])
		}
	}
}

func TestTheUnitsAreAccepted(t *testing.T) {
	service, socket := read(t, "systemd/caddy-mogilefs.service"), read(t, "systemd/caddy-mogilefs.socket")
	for _, line := range []string{"Type=notify", "User=caddy", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"} {
		if !strings.Contains(service, "\n"+line+"\n") {
			t.Errorf("the service has no %s", line)
		}
	}
	sockets := strings.Count(socket, "\nListenStream=")
	for _, m := range regexp.MustCompile(`fd/(\d)`).FindAllStringSubmatch(read(t, "systemd/Caddyfile"), -1) {
		if n := int(m[1][0]-'0') - 2; n < 1 || n > sockets {
			t.Errorf("the Caddyfile wants %s; systemd hands over %d sockets, from fd/3 on", m[0], sockets)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("there is no systemd-analyze: the units are not verified")
		return
	}
	dir := t.TempDir()
	// Neither the command nor the page of its documentation need be on this machine.
	for name, text := range map[string]string{"caddy-mogilefs.service": strings.ReplaceAll(service, "/usr/bin/caddy", "/bin/true"), "caddy-mogilefs.socket": socket} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(dir, "caddy-mogilefs.service"), filepath.Join(dir, "caddy-mogilefs.socket"))
	if text, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(text), "caddy-mogilefs.s") {
		t.Errorf("verify: %v\n%s", err, text)
	}
}

// manifest is what is looked at of Kubernetes' objects.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       struct {
		Selector any
		Ports    []struct {
			Port       int
			TargetPort int `yaml:"targetPort"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	Security struct {
		NonRoot bool `yaml:"runAsNonRoot"`
	} `yaml:"securityContext"`
	Containers []struct {
		Name, Image string
		Ports       []struct {
			ContainerPort int `yaml:"containerPort"`
		}
		Security struct {
			ReadOnly bool `yaml:"readOnlyRootFilesystem"`
		} `yaml:"securityContext"`
		Ready  any `yaml:"readinessProbe"`
		Mounts []struct {
			Name string
			Path string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	Volumes []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

func manifests(t *testing.T, name string) []manifest {
	t.Helper()
	var all []manifest
	for d := yaml.NewDecoder(bytes.NewReader([]byte(read(t, name)))); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, m)
	}
}

func TestTheManifestsFitTogether(t *testing.T) {
	var kustomization struct {
		Namespace string
		Resources []string
		Maps      []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "kubernetes/kustomization.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	maps := map[string]bool{}
	for _, m := range kustomization.Maps {
		maps[m.Name] = true
		for _, file := range m.Files {
			if _, from, ok := strings.Cut(file, "="); ok {
				file = from
			}
			read(t, "kubernetes/"+file)
		}
	}
	pods, services := map[string]manifest{}, 0
	var all []manifest
	for _, name := range kustomization.Resources {
		all = append(all, manifests(t, "kubernetes/"+name)...)
	}
	for _, m := range all {
		if m.APIVersion == "" || m.Kind == "" || m.Metadata.Name == "" || m.Kind != "Namespace" && m.Metadata.Namespace != kustomization.Namespace {
			t.Errorf("%+v lacks a part of its name", m)
		}
		if m.Kind == "DaemonSet" || m.Kind == "Deployment" {
			pods[m.Spec.Template.Metadata.Labels["app"]] = m
			checkPod(t, m, maps)
		}
	}
	for _, m := range all {
		if m.Kind != "Service" {
			continue
		}
		services++
		selector, _ := m.Spec.Selector.(map[string]any)
		app, _ := selector["app"].(string)
		for _, p := range m.Spec.Ports {
			found := false
			for _, c := range pods[app].Spec.Template.Spec.Containers {
				for _, open := range c.Ports {
					found = found || open.ContainerPort == p.TargetPort
				}
			}
			if !found {
				t.Errorf("service %s: no container of %q has the port %d", m.Metadata.Name, app, p.TargetPort)
			}
		}
	}
	if len(pods) != 2 || services != 2 {
		t.Errorf("got %d kinds of pods and %d services; want two of each", len(pods), services)
	}
}

func checkPod(t *testing.T, m manifest, maps map[string]bool) {
	t.Helper()
	selector, _ := m.Spec.Selector.(map[string]any)
	labels, _ := selector["matchLabels"].(map[string]any)
	if labels["app"] != m.Spec.Template.Metadata.Labels["app"] || labels["app"] == nil {
		t.Errorf("%s selects %v, and its pods have %v", m.Metadata.Name, labels, m.Spec.Template.Metadata.Labels)
	}
	p := m.Spec.Template.Spec
	if !p.Security.NonRoot || len(p.Containers) != 1 || !p.Containers[0].Security.ReadOnly || p.Containers[0].Ready == nil {
		t.Errorf("%s: want one container that is not root, read-only, and asked whether it is ready", m.Metadata.Name)
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap.Name != "" && !maps[v.ConfigMap.Name] {
			t.Errorf("%s: nobody makes the map %s", m.Metadata.Name, v.ConfigMap.Name)
		}
	}
	for _, mount := range p.Containers[0].Mounts {
		if !volumes[mount.Name] {
			t.Errorf("%s: there is no volume %s", m.Metadata.Name, mount.Name)
		}
	}
}
