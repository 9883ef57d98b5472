package cloud

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// On Windows EC2Launch runs what stands between <powershell> tags once, at the first boot.
// The ECS-optimized images bring a PowerShell module whose Initialize-ECSAgent starts the
// agent, which reads its other settings from variables of the machine (ECS Developer Guide,
// "Bootstrapping Amazon ECS Windows container instances to pass data").

// powerShellOf is the owner's script without its tags.
func powerShellOf(own string) (string, error) {
	const begin, end = "<powershell>", "</powershell>"
	plain := strings.TrimSpace(own)
	if inner, tagged := strings.CutPrefix(plain, begin); tagged {
		var ended bool
		if plain, ended = strings.CutSuffix(inner, end); !ended {
			return "", errors.New("user data has no " + end + " at its end; write one PowerShell script")
		}
	}
	for _, other := range []string{begin, end, "<script>", "<persist>", "version: 1."} {
		if strings.Contains(plain, other) {
			return "", errors.New("user data with " + other + " in it cannot be joined with the lines that join the cluster; write one PowerShell script")
		}
	}
	if strings.HasPrefix(plain, "#!") || mixedContent(plain) {
		return "", errors.New("user data is no PowerShell, so the lines that join the cluster cannot be added; Windows runs nothing else")
	}
	return strings.TrimSpace(plain), nil
}

// windowsScript is [bootScript] for Windows.
func windowsScript(cluster fleet.ClusterName, l *fleet.Launch, attributes []fleet.Attribute, own string) string {
	var b strings.Builder
	b.WriteString("<powershell>\n# Written by Neap: joins the ECS cluster " + string(cluster) + ".\n")
	if own != "" {
		b.WriteString(ownPowerShell(own))
	}
	if l.Boot > 0 {
		b.WriteString(windowsBootGuard(time.Duration(l.Boot)))
	}
	set := func(name, value string) { // no value has a quote in it
		b.WriteString("[Environment]::SetEnvironmentVariable('" + name + "', '" + value + "', 'Machine')\n")
	}
	set("ECS_INSTANCE_ATTRIBUTES", attributesJSON(attributes))
	// The agent then drains itself on an interruption notice, even if all of Neap is down.
	set("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "true")
	if l.Spec.ReservedMemory > 0 {
		set("ECS_RESERVED_MEMORY", strconv.FormatInt(l.Spec.ReservedMemory, 10))
	}
	b.WriteString("Import-Module ECSTools\nInitialize-ECSAgent -Cluster '" + string(cluster) + "' -EnableTaskIAMRole -EnableTaskENI\n</powershell>\n")
	return b.String()
}

// ownPowerShell runs the owner's script as a file of its own: whether or not it exits, the
// instance goes on to join. Base64 keeps whatever is in it from being read here.
func ownPowerShell(own string) string {
	const folder = `C:\ProgramData\Neap`
	return "New-Item -ItemType Directory -Force -Path '" + folder + "' | Out-Null\n" +
		"[IO.File]::WriteAllBytes('" + folder + `\user-data.ps1', [Convert]::FromBase64String('` + base64.StdEncoding.EncodeToString([]byte(own)) + "'))\n" +
		"powershell.exe -NoProfile -ExecutionPolicy Bypass -File '" + folder + `\user-data.ps1'` + "\n" +
		"if ($LASTEXITCODE -ne 0) { Write-Host \"neap: user data ended with status $LASTEXITCODE\" }\n"
}

// windowsBootGuard is [bootGuard] for Windows.
func windowsBootGuard(boot time.Duration) string {
	const metadata = "http://169.254.169.254/latest"
	return `$neapLaunched = $null
try {
  $neapToken = Invoke-RestMethod -TimeoutSec 5 -Method Put -Headers @{'X-aws-ec2-metadata-token-ttl-seconds' = '60'} -Uri ` + metadata + `/api/token
  $neapLaunched = (Invoke-RestMethod -TimeoutSec 5 -Headers @{'X-aws-ec2-metadata-token' = $neapToken} -Uri ` + metadata + `/dynamic/instance-identity/document).pendingTime
} catch { Write-Host "neap: no metadata: $_" }
if ($neapLaunched -and ((Get-Date).ToUniversalTime() - ([DateTime]$neapLaunched).ToUniversalTime()).TotalSeconds -gt ` + strconv.Itoa(int(boot.Seconds())) + `) {
  Write-Host "neap: launched at $neapLaunched, too late to join"
  Stop-Computer -Force
  Start-Sleep -Seconds 600
}
`
}
