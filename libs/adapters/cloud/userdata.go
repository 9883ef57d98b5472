package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// mostUserData is what EC2 takes, before base64.
const mostUserData = 16 << 10

// What ECS takes as name and value of an attribute.
var (
	attributeName  = regexp.MustCompile(`^[A-Za-z0-9._/\\-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^([A-Za-z0-9._/\\@:-]([A-Za-z0-9._/\\@: -]{0,126}[A-Za-z0-9._/\\@:-])?)$`)
)

// Attributes returns the ECS attributes that an instance of a launch carries, sorted by
// name: those of its launch spec, and those that say how it was bought and from what.
func Attributes(l *fleet.Launch) []fleet.Attribute {
	alias := "od"
	if l.Lifecycle == fleet.Spot {
		alias = "spot"
	}
	values := maps.Clone(l.Spec.Attributes)
	if values == nil {
		values = map[string]string{}
	}
	values[fleet.AttributeLifecycle] = string(l.Lifecycle)
	values[fleet.AttributeLaunchSpec] = string(l.Spec.Name)
	values[fleet.AttributeLifecycleAlias] = alias
	attributes := make([]fleet.Attribute, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		attributes = append(attributes, fleet.Attribute{Name: name, Value: values[name]})
	}
	return attributes
}

// userData is the boot script of an instance of a launch, after its owner's own script. It
// depends on nothing that differs between two launches of the same spec and lifecycle, so
// that they can share a launch template.
func userData(cluster fleet.ClusterName, l *fleet.Launch, own string) (string, error) {
	attributes := Attributes(l)
	for _, attr := range attributes {
		if !attributeName.MatchString(attr.Name) || !attributeValue.MatchString(attr.Value) {
			return "", fmt.Errorf("%w: launch spec %s: attribute %q=%q: ECS takes letters, digits and . - _ / \\, in values also @ : and spaces", fleet.ErrInvalid, l.Spec.Name, attr.Name, attr.Value)
		}
	}
	var script string
	switch {
	case l.Spec.Windows():
		plain, err := powerShellOf(own)
		if err != nil {
			return "", fmt.Errorf("%w: launch spec %s: %w", fleet.ErrInvalid, l.Spec.Name, err)
		}
		script = windowsScript(cluster, l, attributes, plain)
	case bottlerocket(l):
		script = bottlerocketSettings(cluster, l, attributes, own)
	case own != "" && !strings.HasPrefix(own, "#!") && mixedContent(own):
		return "", fmt.Errorf("%w: launch spec %s: user data is no shell script, so the lines that join the cluster cannot be added; write a script that starts with #!/bin/bash", fleet.ErrInvalid, l.Spec.Name)
	default:
		script = bootScript(cluster, l, attributes, own)
	}
	if len(script) > mostUserData {
		return "", fmt.Errorf("%w: launch spec %s: user data of %d bytes with the lines that join the cluster; EC2 takes %d: shorten it, fetch the rest at boot", fleet.ErrInvalid, l.Spec.Name, len(script), mostUserData)
	}
	return script, nil
}

// mixedContent reports whether user data is a form of cloud-init or Windows that is no
// shell script: a MIME document, a cloud-config, a PowerShell block.
func mixedContent(own string) bool {
	for _, start := range []string{"Content-Type:", "MIME-Version:", "#cloud-config", "#include", "<powershell", "<script", "## template"} {
		if strings.HasPrefix(own, start) {
			return true
		}
	}
	return false
}

// bootScript runs the owner's script, lets an instance go that comes too late, and tells
// the ECS agent which cluster to join. The agent starts when the script has ended.
func bootScript(cluster fleet.ClusterName, l *fleet.Launch, attributes []fleet.Attribute, own string) string {
	var b strings.Builder
	b.WriteString("#!/bin/bash\n# Written by Neap: joins the ECS cluster " + string(cluster) + ".\n")
	if own != "" {
		b.WriteString(ownScript(own))
	}
	if l.Boot > 0 {
		b.WriteString(bootGuard(time.Duration(l.Boot)))
	}
	b.WriteString("cat <<'EOF_' >> /etc/ecs/ecs.config\n")
	b.WriteString("ECS_CLUSTER=" + string(cluster) + "\n")
	b.WriteString("ECS_INSTANCE_ATTRIBUTES=" + attributesJSON(attributes) + "\n")
	// The agent then drains itself on an interruption notice, even if all of Neap is down.
	b.WriteString("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n")
	if l.Spec.ReservedMemory > 0 {
		b.WriteString("ECS_RESERVED_MEMORY=" + strconv.FormatInt(l.Spec.ReservedMemory, 10) + "\n")
	}
	b.WriteString("EOF_\n")
	return b.String()
}

// ownScript runs the owner's script as a file of its own: whatever its interpreter, and
// whether or not it exits, the instance goes on to join.
func ownScript(own string) string {
	if !strings.HasPrefix(own, "#!") {
		own = "#!/bin/bash\n" + own
	}
	end := "NEAP_" + fleet.Digest([]byte(own))[:16] // a line that cannot be in the script
	return "mkdir -p /var/lib/neap\n" +
		"cat <<'" + end + "' > /var/lib/neap/user-data\n" + strings.TrimSuffix(own, "\n") + "\n" + end + "\n" +
		"chmod 700 /var/lib/neap/user-data\n" +
		"/var/lib/neap/user-data || echo \"neap: user data ended with status $?\" >&2\n"
}

// bootGuard powers off an instance that was launched longer ago than it may take to boot:
// Neap has given it up by then, and another one has its place. The sleep keeps the agent,
// which waits for this script, from starting while the machine goes down.
func bootGuard(boot time.Duration) string {
	const metadata = "http://169.254.169.254/latest"
	return `neap_token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ` + metadata + `/api/token)
neap_launched=$(curl -sf -m 5 -H "X-aws-ec2-metadata-token: $neap_token" ` + metadata + `/dynamic/instance-identity/document | sed -n 's/.*"pendingTime" *: *"\([^"]*\)".*/\1/p')
if [ -n "$neap_launched" ] && [ $(( $(date +%s) - $(date -d "$neap_launched" +%s) )) -gt ` + strconv.Itoa(int(boot.Seconds())) + ` ]; then
  echo "neap: launched at $neap_launched, too late to join" >&2
  shutdown -h now
  sleep 600
fi
`
}

func attributesJSON(attributes []fleet.Attribute) string {
	values := make(map[string]string, len(attributes))
	for _, attr := range attributes {
		values[attr.Name] = attr.Value
	}
	b, err := json.Marshal(values) // sorts the names
	if err != nil {
		panic(fmt.Sprintf("cloud: a map of strings as JSON: %v", err))
	}
	return string(b)
}

// bottlerocket reports whether the images of a launch are Bottlerocket's, which is
// configured by settings, not by a script.
func bottlerocket(l *fleet.Launch) bool {
	return len(l.Spec.Images) > 0 && !slices.ContainsFunc(l.Spec.Images, func(image string) bool { return !strings.Contains(image, "bottlerocket") })
}

// bottlerocketSettings are the settings that join the cluster, after the owner's own. They
// cannot keep a late instance from joining.
func bottlerocketSettings(cluster fleet.ClusterName, l *fleet.Launch, attributes []fleet.Attribute, own string) string {
	var b strings.Builder
	if own != "" {
		b.WriteString(strings.TrimSuffix(own, "\n") + "\n\n")
	}
	b.WriteString("[settings.ecs]\ncluster = " + strconv.Quote(string(cluster)) + "\nenable-spot-instance-draining = true\n")
	if l.Spec.ReservedMemory > 0 {
		b.WriteString("reserved-memory = " + strconv.FormatInt(l.Spec.ReservedMemory, 10) + "\n")
	}
	b.WriteString("\n[settings.ecs.instance-attributes]\n")
	for _, attr := range attributes {
		b.WriteString(strconv.Quote(attr.Name) + " = " + strconv.Quote(attr.Value) + "\n")
	}
	return b.String()
}
