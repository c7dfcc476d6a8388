"""Answers for people and programs: tables, a page of pictures, and the pictures that a folder gets."""
