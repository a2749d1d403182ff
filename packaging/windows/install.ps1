<#
.SYNOPSIS
Installs watermarkd as a Windows service, or removes it.

.DESCRIPTION
Copies watermarkd.exe to %ProgramFiles%\watermarkd, writes a first configuration with a sample mark
and drop folders to %ProgramData%\watermarkd (an existing one is kept), installs the service under
the account NT SERVICE\watermarkd, gives it rights to exactly the folders of the configuration, and
starts it. Run again after an upgrade or after the configuration names other folders.

.EXAMPLE
.\install.ps1
.\install.ps1 -Config D:\pictures\watermarkd.yaml
.\install.ps1 -Uninstall
#>
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    # The program to install; by default the one beside this script.
    [string] $Binary = (Join-Path $PSScriptRoot 'watermarkd.exe'),
    # The configuration of the service.
    [string] $Config = (Join-Path $env:ProgramData 'watermarkd\config.yaml'),
    # Stop and remove the service and the program. Configuration, ledger, log and pictures stay.
    [switch] $Uninstall
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
# Written in full: a program has another current folder than this script.
$Config = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Config)
$folder = Join-Path $env:ProgramFiles 'watermarkd'
$program = Join-Path $folder 'watermarkd.exe'

# A program that fails does not stop a script by itself.
function Invoke-Watermarkd {
    & $program @args
    if ($LASTEXITCODE -ne 0) { throw "watermarkd $args ended with exit code $LASTEXITCODE" }
}

# A service has stopped a moment before its process ends, which until then holds the program.
function Uninstall-Service {
    Invoke-Watermarkd service uninstall
    Get-Process -Name watermarkd -ErrorAction SilentlyContinue |
        Where-Object { $_.Path -eq $program } | Wait-Process -Timeout 30
}

$installed = Get-Service -Name watermarkd -ErrorAction SilentlyContinue

if ($Uninstall) {
    if ($installed) { Uninstall-Service }
    if (Test-Path $folder) { Remove-Item -Recurse -Force $folder }
    Write-Host "Removed. Configuration, ledger and log are still in $env:ProgramData\watermarkd."
    return
}

if (-not (Test-Path $Binary)) { throw "there is no $Binary" }
# The running program cannot be replaced; the entry is made anew with what this version wants.
if ($installed) { Uninstall-Service }
New-Item -ItemType Directory -Force $folder | Out-Null
Copy-Item -Force $Binary $program

$home_ = Split-Path -Parent $Config
if (-not (Test-Path $Config)) {
    if ((Split-Path -Leaf $Config) -ne 'config.yaml') { throw "there is no $Config" }
    Invoke-Watermarkd init $home_
}
# Every user may make files below %ProgramData%. What the service believes in is not theirs.
if ($home_ -eq (Join-Path $env:ProgramData 'watermarkd')) {
    & icacls $home_ /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-32-545:(OI)(CI)RX' | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls $home_ ended with exit code $LASTEXITCODE" }
    # The drop folder of the first configuration is for everybody on this machine.
    if (Test-Path "$home_\in") { & icacls "$home_\in" /grant '*S-1-5-32-545:(OI)(CI)M' | Out-Null }
    New-Item -ItemType Directory -Force "$home_\state\log" | Out-Null
}

# The program speaks UTF-8, the console as a rule does not.
$encoding = [Console]::OutputEncoding
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
try { $told = Invoke-Watermarkd service install --config $Config }
finally { [Console]::OutputEncoding = $encoding }
$told | Write-Host
# The account exists only now, so its rights come last.
foreach ($line in $told) {
    if ($line -match '^\s*icacls "(?<path>[^"]+)" /grant "(?<right>[^"]+)"$') {
        New-Item -ItemType Directory -Force $Matches.path | Out-Null
        & icacls $Matches.path /grant $Matches.right | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "icacls $($Matches.path) ended with exit code $LASTEXITCODE" }
    }
}
Invoke-Watermarkd service start
Write-Host "Configuration: $Config"
