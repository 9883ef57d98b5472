package sim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// agentConfig is what the user data of an instance tells its ECS agent.
type agentConfig struct {
	cluster        string
	attributes     map[string]string
	tags           []Tag
	ec2Tags        bool // the tags of the EC2 instance are those of the container instance, too
	reservedMemory int64
	ports          fleet.Ports // that are kept beside or, if set, instead of the usual ones
	portsSet       [2]bool     // whether the TCP and the UDP ports were set
	stopTimeout    time.Duration
	drainOnSpot    bool
	off            []string      // groups of capabilities that it does not register
	drivers        []string      // log drivers; nil is the usual ones
	deadline       time.Time     // after which the instance shuts down instead of joining
	bootWithin     time.Duration // after launch; later it shuts down; 0 is no limit
	installs       bool          // the user data installs an agent
	broken         string        // why the agent cannot start
}

// What an agent can be told to do without, as it is written in agentConfig.off.
const (
	offPrivileged = "privileged-container"
	offTaskRole   = "task-iam-role"
	offHostRole   = "task-iam-role-network-host"
	offENI        = "task-eni"
	offGPU        = "gpu"
)

var (
	// A setting of the agent as it is written into /etc/ecs/ecs.config, by a here-document
	// or by echo.
	agentSetting = regexp.MustCompile(`(?:^|[\s"'])(ECS_[A-Z0-9_]+)=(.*)$`)
	// The end of an echo: a quote and a redirection into the file.
	redirection = regexp.MustCompile(`["']?\s*>>?\s*\S*ecs\.config\S*\s*$`)
	// A time after which the instance is not to join, in any line that names a deadline.
	deadlineLine = regexp.MustCompile(`(?i)deadline\D*?["'= ]([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:[0-9]{2})|[0-9]{10})\b`)
	// A test of how many seconds ago the instance was launched.
	bootGuard = regexp.MustCompile(`date \+%s\b.*date -d .*-gt ["']?([0-9]{1,9})\b`)
	// A package that brings an agent to an image that has none.
	agentPackage = regexp.MustCompile(`\binstall\b.*\b(amazon-)?ecs-init\b`)
	// The first line of user data that cloud-init runs or reads.
	cloudInit = regexp.MustCompile(`^(#!|#cloud-config|#include|#cloud-boothook|Content-Type:|MIME-Version:)`)
)

// readUserData reads user data as a machine of the platform would. What it does not
// understand has no effect, or keeps the agent from starting where it would there.
func readUserData(p platform, text string) agentConfig {
	switch p {
	case platformBottlerocket:
		return parseTOML(text)
	case platformWindows:
		return parsePowerShell(text)
	case platformLinux:
	}
	a := parseUserData(text)
	if !cloudInit.MatchString(text) { // cloud-init skips it: no line of it is carried out
		return agentConfig{}
	}
	return a
}

// parseUserData reads shell scripts (plain or in a MIME message) that write agent settings.
func parseUserData(text string) agentConfig {
	var a agentConfig
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := deadlineLine.FindStringSubmatch(line); m != nil {
			a.setDeadline(m[1])
		}
		if m := bootGuard.FindStringSubmatch(line); m != nil {
			seconds, _ := strconv.Atoi(m[1])
			a.bootWithin = time.Duration(seconds) * time.Second
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		a.installs = a.installs || agentPackage.MatchString(line)
		if m := agentSetting.FindStringSubmatch(line); m != nil {
			a.set(m[1], unquote(strings.TrimSpace(redirection.ReplaceAllString(m[2], ""))))
		}
	}
	return a
}

// set is one setting of the agent by its environment variable.
func (a *agentConfig) set(name, value string) {
	on := value == "true" || value == "1"
	switch name {
	case "ECS_CLUSTER":
		a.cluster = value
	case "ECS_INSTANCE_ATTRIBUTES":
		a.attributes = nil
		if json.Unmarshal([]byte(value), &a.attributes) != nil && value != "" {
			a.broken = "its agent does not start: Invalid format for ECS_INSTANCE_ATTRIBUTES. Expected a json hash"
			return
		}
		a.checkAttributes()
	case "ECS_CONTAINER_INSTANCE_TAGS":
		var tags map[string]string
		if json.Unmarshal([]byte(value), &tags) == nil {
			a.tags = nil
			for _, k := range sortedKeys(tags) {
				a.tags = append(a.tags, Tag{k, tags[k]})
			}
		}
	case "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM":
		a.ec2Tags = value == "ec2_instance"
	case "ECS_RESERVED_MEMORY":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			a.reservedMemory = min(n, mostOfAnything)
		}
	case "ECS_RESERVED_PORTS":
		a.setPorts(0, fleet.TCP, value)
	case "ECS_RESERVED_PORTS_UDP":
		a.setPorts(1, fleet.UDP, value)
	case "ECS_CONTAINER_STOP_TIMEOUT":
		const least = time.Second
		if d, err := time.ParseDuration(value); err == nil {
			a.stopTimeout = max(d, least)
		}
	case "ECS_ENABLE_SPOT_INSTANCE_DRAINING":
		a.drainOnSpot = on
	case "ECS_AVAILABLE_LOGGING_DRIVERS":
		var drivers []string
		if json.Unmarshal([]byte(value), &drivers) == nil {
			a.drivers = drivers
		}
	case "ECS_DISABLE_PRIVILEGED":
		a.turn(offPrivileged, !on)
	case "ECS_ENABLE_TASK_IAM_ROLE":
		a.turn(offTaskRole, on)
	case "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST":
		a.turn(offHostRole, on)
	case "ECS_ENABLE_TASK_ENI":
		a.turn(offENI, on)
	case "ECS_ENABLE_GPU_SUPPORT":
		a.turn(offGPU, on)
	}
}

// turn notes whether a group of capabilities is on.
func (a *agentConfig) turn(what string, on bool) {
	a.off = slices.DeleteFunc(a.off, func(o string) bool { return o == what })
	if !on {
		a.off = append(a.off, what)
	}
}

func (a *agentConfig) has(what string) bool { return !slices.Contains(a.off, what) }

// setPorts replaces the ports that the agent keeps from tasks.
func (a *agentConfig) setPorts(which int, protocol fleet.Protocol, value string) {
	var numbers []uint16
	if json.Unmarshal([]byte(value), &numbers) != nil {
		return
	}
	var list []fleet.Port
	for _, p := range a.ports {
		if p.Protocol != protocol {
			list = append(list, p)
		}
	}
	for _, n := range numbers {
		list = append(list, fleet.Port{Number: n, Protocol: protocol})
	}
	a.ports, a.portsSet[which] = fleet.NewPorts(list...), true
}

// checkAttributes refuses what ECS refuses at registration, after which the agent exits
// for good.
func (a *agentConfig) checkAttributes() {
	for _, name := range sortedKeys(a.attributes) {
		value := a.attributes[name]
		if !validAttribute(name, value) {
			a.broken = fmt.Sprintf("its agent exits: ECS refuses the attribute %.130q = %.130q", name, value)
		}
	}
	if len(a.attributes) > mostAttributes {
		a.broken = fmt.Sprintf("its agent exits: ECS refuses %d custom attributes, %d are the most", len(a.attributes), mostAttributes)
	}
}

func (a *agentConfig) setDeadline(text string) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		a.deadline = t
		return
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		a.deadline = time.Unix(n, 0).UTC()
	}
}

// unquote takes one pair of quotes off.
func unquote(s string) string {
	if len(s) >= 2 && slices.Contains([]byte(`"'`), s[0]) && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
