package deploy_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// TestBuildIsReproducible: the same source gives the same bytes wherever it lies, and they
// say which release they are.
func TestBuildIsReproducible(t *testing.T) {
	const service = "planner"
	copied := t.TempDir()
	for _, dir := range []string{"libs", "services", "cmd", "scripts"} {
		if err := os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.work", "go.work.sum", "go.mod", "go.sum"} {
		content := read(t, file)
		if err := os.WriteFile(filepath.Join(copied, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here, there := filepath.Join(t.TempDir(), "here"), filepath.Join(t.TempDir(), "there")
	build(t, root, service, here)
	build(t, copied, service, there)
	if digest(t, here) != digest(t, there) {
		t.Errorf("two builds of one source differ: %x and %x", digest(t, here), digest(t, there))
	}
	out, err := exec.CommandContext(t.Context(), here, "--version").CombinedOutput()
	if want := "planner v1.2.3 (revision abcdef,"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("planner --version says %q (%v), want %q", out, err, want)
	}
}

// TestBuildOfUnknownService: a mistyped build argument says what there is.
func TestBuildOfUnknownService(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "scripts/build-static", "plannner", filepath.Join(t.TempDir(), "out"))
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("no service 'plannner'; there are: actuator drainer planner watcher neap")) {
		t.Errorf("err %v, said %q", err, out)
	}
}

// TestDockerfile: what a build of the image would show only where an engine runs.
func TestDockerfile(t *testing.T) {
	text := string(read(t, "Dockerfile"))
	if regexp.MustCompile(`(?mi)^#\s*syntax\s*=`).MatchString(text) {
		t.Error("Dockerfile: a syntax line makes every build fetch a frontend image")
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).MatchString(text) {
		t.Error("Dockerfile: no USER by number other than root")
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\./\S+)$`).FindAllStringSubmatch(string(read(t, "go.work")), -1) {
		if manifest := strings.TrimPrefix(m[1], "./") + "/go.mod"; !strings.Contains(text, manifest) {
			t.Errorf("Dockerfile: copies no %s, so go mod download fails there", manifest)
		}
	}
	images := regexp.MustCompile(`(?m)^IMAGES +\?= (.*)$`).FindSubmatch(read(t, "Makefile"))
	services, err := os.ReadDir(filepath.Join(root, "services"))
	if err != nil || images == nil {
		t.Fatal(err, "or no IMAGES in Makefile")
	}
	for _, s := range services {
		if !strings.Contains(" "+string(images[1])+" ", " "+s.Name()+" ") {
			t.Errorf("Makefile: make images builds no image of services/%s", s.Name())
		}
	}
}

func build(t *testing.T, dir, service, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "scripts/build-static", service, out)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VERSION=v1.2.3", "REVISION=abcdef")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s in %s: %v\n%s", service, dir, err, said)
	}
}

func digest(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}

// read reads a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
