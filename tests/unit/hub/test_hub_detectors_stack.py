"""Products as bodies write them, and the day their makers' support ended."""

from __future__ import annotations

import pytest

from qaztech.hub.detectors.stack import stacks, support_end


@pytest.mark.parametrize(
    ("text", "product", "version"),
    [
        ("php5.3", "php", "5.3"),
        ("PHP 5.3.29", "php", "5.3"),
        ("Win Server 2008 R2", "windows-server", "2008r2"),
        ("MS SQL Server 2008", "sql-server", "2008"),
        ("MS SQL Server 2008 SP3", "sql-server", "2008"),
        ("Microsoft Windows Server 2012", "windows-server", "2012"),
        ("Windows XP SP3", "windows", "xp"),
        ("JAVA 6", "java", "6"),
        ("Java 1.6.0", "java", "1.6"),
        ("JAVA 21 LTS", "java", "21"),
        ("Postgresql 16.4", "postgresql", "16"),
        ("postgres 9.6", "postgresql", "9.6"),
        ("Oracle Database 11g R2", "oracle-database", "11g"),
        ("Python 3.12", "python", "3.12"),
        ("python 2.7.18", "python", "2.7"),
        (".NET Framework 4.5", "dotnet-framework", "4.5"),
        (".NET Core 3.1", "dotnet", "3.1"),
        (".NET 10", "dotnet", "10"),
        ("CentOS 7", "centos", "7"),
        ("Debian 7", "debian", "7"),
        ("Adobe Flash", "flash", ""),
        ("Silverlight 5", "silverlight", "5"),
        ("Visual FoxPro 9", "visual-foxpro", "9"),
        ("Firebird 1.5", "firebird", "1.5"),
        ("Node.js 12", "nodejs", "12"),
        ("AngularJS 1.5", "angularjs", ""),
        ("Windows 2003 Server", "windows", "2003"),
        ("IIS 6.0", "iis", "6"),
        ("Flash #1", "flash", ""),
        ("PHP 5", "php", "5"),
        ("PostgreSQL 9", "postgresql", "9"),
        ("WinXP", "windows", "xp"),
        ("Win2003", "windows", "2003"),
        ("Oracle 11.2.0.4", "oracle-database", "11.2"),
        ("Oracle Database Enterprise Edition 10g", "oracle-database", "10g"),
        ("MySQL Community Server 5.1", "mysql", "5.1"),
        ("PostgreSQL v9.4", "postgresql", "9.4"),
    ],
)
def test_products_are_known_as_bodies_write_them(text: str, product: str, version: str) -> None:
    """Case, spaces, makers' names, patch numbers and older versions than the list has."""
    found = support_end(text)
    assert found is not None
    assert (found.product, found.version) == (product, version)


@pytest.mark.parametrize(
    "text", ["", "1C:Предприятие 8.3", "PostgreSQL 99", "php", "Javascript", "Windows Server", "?" * 50]
)
def test_what_is_not_known_says_nothing(text: str) -> None:
    """Unknown products, versions newer than the list, and products without a version."""
    assert support_end(text) is None


def test_python_3_1_is_not_python_3_12() -> None:
    """A version is compared by its parts, not by its letters."""
    assert support_end("Python 3.1") != support_end("Python 3.12")
    assert support_end("PostgreSQL 1") != support_end("PostgreSQL 17")


def test_a_line_that_goes_on_has_not_ended() -> None:
    """Where only the first part of a version is told, its last line counts."""
    ended, going = support_end("PHP 5"), support_end(".NET Framework 4")
    assert ended is not None
    assert going is not None
    assert ended.day.year == 2018
    assert going.day.year > 2026


def test_the_list_is_sound() -> None:
    """No name stands for two products, and versions and names are written as they are compared."""
    names = [name for product in stacks().products for name in product.names]
    assert len(set(names)) == len(names)
    for product in stacks().products:
        assert product.source
        assert all(version == version.lower().replace(" ", "") for version in product.versions)
